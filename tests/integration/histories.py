# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Git repositories for the tests, made and looked at by git itself."""

import os
import random
import subprocess

PEOPLE = ("Ann <ann@example.com>", "Bob <bob@example.com>", "Cy <cy@example.com>")
ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


def git(where, *arguments, stdin=None, ok=(0,), **env):
    """Run git and return what it printed, without the last line end."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=where,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT, **env},
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in ok, f"git {' '.join(arguments)}: {done.returncode}: {done.stderr}"
    return done.stdout.rstrip("\n")


def new(path, *options):
    """Make a repository with the branch main and return its path."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main", *options, ".")
    return path


def commit(path, message, author=PEOPLE[0], **changes):
    """Commit files, ``{name: text}`` with None for a removed one; return the id."""
    for name, text in (changes or {"file": message}).items():
        place = path / name
        if text is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--allow-empty", "--message", message, "--author", author)
    return git(path, "rev-parse", "HEAD")


def stream(count, seed=1, merges=True, tags=True, big=0):
    """Yield the lines of a generated history for git-fast-import(1).

    :param count: commits on main; every 37th is a merge with a side branch of two, every 50th is tagged
        (v50 light, v100 annotated), every 23rd renames a file.
    :param big: bytes of a file of random content in the middle of history.
    """
    rng = random.Random(seed)
    who = [f"{one} {{}} +0000" for one in PEOPLE]
    mark, names = 0, [f"src/f{n}.txt" for n in range(40)]

    def one(ref, number, parents, *lines, message=None):
        nonlocal mark
        mark += 1
        when = 1600000000 + mark * 600
        author = who[rng.randrange(3)].format(when)
        text = message or f"Change {number}\n\nBecause of {rng.random()}.\n"
        yield f"commit {ref}\nmark :{mark}\nauthor {author}\ncommitter {author}\ndata {len(text)}\n{text}\n".encode()
        for keyword, parent in zip(("from", "merge"), parents, strict=False):
            yield f"{keyword} :{parent}\n".encode()
        yield from lines

    def edit(name, size=200):
        text = f"{rng.getrandbits(size * 4):x}\n" * 3
        return f"M 100644 inline {name}\ndata {len(text)}\n{text}\n".encode()

    last = 0
    for number in range(1, count + 1):
        lines = [edit(rng.choice(names)), edit("counter")]
        if number % 23 == 0:
            old = rng.randrange(40)
            fresh = f"src/f{old}-{number}.txt"
            lines += [edit(names[old]), f"R {names[old]} {fresh}\n".encode()]
            names[old] = fresh
        if big and number == count // 2:
            lines += [f"M 100644 inline big.bin\ndata {big}\n".encode(), rng.randbytes(big), b"\n"]
        parents = [last] if last else []
        if merges and number % 37 == 0:
            yield from one("refs/heads/side", number, [last], edit(f"side/{number}"))
            yield from one("refs/heads/side", number, [mark], edit(f"side/{number}b"))
            lines.append(edit(f"side/{number}"))
            parents.append(mark)
        yield from one("refs/heads/main", number, parents, *lines)
        last = mark
        if tags and number % 50 == 0:
            if number % 100:
                yield f"reset refs/tags/v{number}\nfrom :{last}\n\n".encode()
            else:
                yield f"tag v{number}\nfrom :{last}\ntagger {who[0].format(1600000000)}\ndata 2\nv\n".encode()


def generate(path, count, **how):
    """Make a bare repository with a generated history; return its path."""
    new(path, "--bare")
    importing = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE)
    for piece in stream(count, **how):
        importing.stdin.write(piece)
    importing.stdin.close()
    assert importing.wait(timeout=120) == 0
    return path
