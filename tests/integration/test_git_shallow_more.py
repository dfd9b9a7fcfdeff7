# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` with what not every repository has: signatures, submodules, partial clones, HTTPS, a neighbour."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.integration.checkouts import four_beats, shallow
from tests.integration.git_servers import daemon, web
from tests.integration.histories import commit, generate, git, new

pytestmark = pytest.mark.usefixtures("no_settings_of_the_user")


def ssh_key(path, name):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path / name)], check=True)
    return path / name


def gpg(home, *arguments):
    argv = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def keys():
    """A directory with a short name: gpg-agent's socket is in it, and has at most 107 characters (unix(7))."""
    path = Path(tempfile.mkdtemp(prefix="keys-", dir="/tmp"))
    yield path
    for home in (path, path / "trusted"):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(path)


@pytest.fixture(params=["ssh", "gpg"])
def signed(request, tmp_path, keys):
    """A repository with a signed commit and tag, one by somebody else, and none; and how to trust the first."""
    path = new(tmp_path / "signed")
    if request.param == "ssh":
        mine, other = ssh_key(keys, "mine"), ssh_key(keys, "other")
        (keys / "signers").write_text(f"me@example.com {(keys / 'mine.pub').read_text()}")
        trust, signer = {"allowed_signers": str(keys / "signers")}, "me@example.com"
        settings = ["-c", "gpg.format=ssh"]
        names = [f"{mine}.pub", f"{other}.pub"]
    else:
        for name in ("mine", "other"):
            gpg(keys, "--quick-gen-key", f"{name} <{name}@example.com>", "ed25519", "sign")
        names = ["mine@example.com", "other@example.com"]
        listed = gpg(keys, "--list-keys", "--with-colons", names[0])
        (signer,) = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")]
        trusted = keys / "trusted"
        trusted.mkdir(mode=0o700)
        (tmp_path / "mine.asc").write_text(gpg(keys, "--export", "--armor", names[0]))
        gpg(trusted, "--import", str(tmp_path / "mine.asc"))
        trust, settings = {"gnupg_home": str(trusted)}, []
    for name, key in (("good", names[0]), ("foreign", names[1])):
        git(
            path,
            *settings,
            "-c",
            f"user.signingKey={key}",
            "commit",
            "-qS",
            "--allow-empty",
            "-m",
            name,
            GNUPGHOME=str(keys),
        )
        git(path, "branch", name)
        git(path, *settings, "-c", f"user.signingKey={key}", "tag", "-s", "-m", "x", f"v-{name}", GNUPGHOME=str(keys))
    commit(path, "none")
    git(path, "tag", "v-light")
    yield path, trust, signer
    for home in (keys, tmp_path / "trusted"):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_only_what_is_signed_is_checked_out(signed, tmp_path):
    path, trust, signer = signed
    entry = dict({"repo": f"file://{path}", "dest": tmp_path / "app", "verify": "commit"}, **trust)
    for version in ("main", "foreign"):
        refused = shallow(**entry, version=version)
        assert "has no good signature" in refused["msg"]
        assert not (tmp_path / "app").exists()
    four_beats(**entry, version="good", signers=[signer])
    head = git(tmp_path / "app", "rev-parse", "HEAD")
    for version in ("main", "foreign"):
        assert "has no good signature" in shallow(**entry, version=version)["msg"]
        assert git(tmp_path / "app", "rev-parse", "HEAD") == head
    assert "who is not among the signers" in shallow(**entry, version="good", signers=["nobody"])["msg"]


def test_only_a_signed_tag_is_checked_out(signed, tmp_path):
    path, trust, _signer = signed
    entry = dict({"repo": f"file://{path}", "dest": tmp_path / "app", "verify": "tag"}, **trust)
    for version, message in (
        ("v-foreign", "has no good signature"),
        ("v-light", "light tag"),
        ("main", "the version is the branch main"),
    ):
        assert message in shallow(**entry, version=version)["msg"]
        assert not (tmp_path / "app").exists()
    four_beats(**entry, version="v-good")


@pytest.mark.parametrize("kind", ["shallow", "full"])
def test_submodules_of_submodules(tmp_path, kind):
    served = tmp_path / "served"
    generate(served / "leaf", 10)
    for name in ("lib", "app"):
        commit(new(served / name), f"{name} itself")
    with daemon(served) as url:
        for name, child in (("lib", "leaf"), ("app", "lib")):
            git(served / name, "submodule", "--quiet", "add", f"{url}/{child}", f"deep {child}")
            commit(served / name, "with a submodule")
            git(served / name, "config", "uploadpack.allowAnySHA1InWant", "true")
        entry = {"repo": f"{url}/app", "dest": tmp_path / "app", "version": "main", "submodules": kind}
        four_beats(**entry)
        leaf = tmp_path / "app/deep lib/deep leaf"
        assert git(leaf, "rev-list", "--count", "HEAD") == ("1" if kind == "shallow" else "10")
        git(leaf, "checkout", "--quiet", "--detach", "HEAD" if kind == "shallow" else "HEAD~2")
        shutil.rmtree(tmp_path / "app/deep lib/deep leaf/src")
        git(tmp_path / "app", "submodule", "--quiet", "deinit", "--force", "--all")
        applied = four_beats(**entry)
        assert applied["steps"][0].startswith(f"update {tmp_path}/app: submodules deep lib")
        assert git(leaf, "rev-parse", "HEAD") == git(served / "leaf", "rev-parse", "main")


@pytest.mark.parametrize("filtered", ["blob:none", "blob:limit=0k", "tree:0"])
def test_partial_clones(tmp_path, filtered):
    source = generate(tmp_path / "served/app.git", 30, big=300_000)
    with web(tmp_path / "served") as server:
        entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app", "version": "main", "depth": 0}
        told = four_beats(**entry, filter=filtered)["warnings"]
        assert "the server does not know filters" in told[0]
        shutil.rmtree(tmp_path / "app")
        git(source, "config", "uploadpack.allowFilter", "true")
        assert four_beats(**entry, filter=filtered)["warnings"] == []
        missing = git(tmp_path / "app", "rev-list", "--objects", "--missing=print", "HEAD").count("?")
        assert missing > 0
        server.requests.clear()
        assert shallow(**entry, filter=filtered)["changed"] is False
        assert len(server.requests) == 2, "a look at a partial clone must not fetch what is missing"
        four_beats(**entry)
        assert git(tmp_path / "app", "rev-list", "--objects", "--missing=print", "HEAD").count("?") == 0


def test_borrowed_objects_and_empty_directories(tmp_path):
    source = generate(tmp_path / "served/app.git", 40, big=500_000)
    git(tmp_path, "clone", "--quiet", "--bare", str(source), "near")
    (tmp_path / "app").mkdir(mode=0o750)
    with web(tmp_path / "served") as server:
        entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app", "depth": 0}
        assert "there is no git repository" in shallow(**entry, reference=str(tmp_path / "none"))["msg"]
        four_beats(**entry, reference=str(tmp_path / "near"))
        assert sum(len(one[2]) for one in server.requests) < 100_000, "the objects come from the neighbour"
    assert (tmp_path / "app").stat().st_mode & 0o777 == 0o750


def test_a_clone_made_by_hand_is_adopted(tmp_path):
    source = generate(tmp_path / "app.git", 20)
    git(tmp_path, "clone", "--quiet", f"file://{source}", "app")
    entry = {
        "repo": f"file://{source}",
        "dest": tmp_path / "app",
        "version": "main",
        "depth": 0,
        "single_branch": False,
    }
    assert shallow(**entry)["changed"] is False
    applied = four_beats(**{**entry, "depth": 2, "single_branch": True})
    assert [step.split()[0] for step in applied["steps"]] == ["fetch", "configure"]
    git(tmp_path / "app", "worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    assert "it is a submodule or a linked working tree" in shallow(**{**entry, "dest": tmp_path / "linked"})["msg"]
