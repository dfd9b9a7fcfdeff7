# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``git_shallow`` on the way to a server: proxies, certificates, passwords and who knows them, and files of Git LFS."""

import hashlib
import json
import subprocess

import pytest

from tests.integration.checkouts import assert_is, done, four_beats, shallow
from tests.integration.git_servers import Proxy, serving, web
from tests.integration.histories import commit, generate, git, new
from tests.tools import gits

pytestmark = pytest.mark.usefixtures("no_settings_of_the_user")
PASSWORD = "s3cret-T0ken"  # noqa: S105


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("served") / "app.git", 60)


@pytest.fixture
def server(source):
    with web(source.parent) as one:
        yield one


@pytest.fixture
def proxy():
    with serving(Proxy()) as one:
        yield one


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A directory with a key, and a certificate for 127.0.0.1 that nobody else has signed."""
    path = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", "key.pem", "-out", "ca.pem"]
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *files, *names]
    subprocess.run(argv, cwd=path, check=True, capture_output=True)
    return path


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """What every git is called with."""
    path = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(path))
    return path


def assert_secret(trace, dest, *results):
    assert '"argv"' in trace.read_text()
    files = [one.read_text("latin-1") for one in dest.rglob("*") if one.is_file()]
    for text in (trace.read_text(), json.dumps(results), *files):
        assert PASSWORD not in text


def test_https_with_a_certificate_of_its_own(server, source, certificate, tmp_path):
    server.secure(certificate / "ca.pem", certificate / "key.pem")
    entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app"}
    assert "certificate is not trusted; give ca_file" in shallow(**entry)["msg"]
    four_beats(**entry, ca_file=str(certificate / "ca.pem"))
    assert_is(tmp_path / "app", source, "main")


@pytest.mark.parametrize("secure", [False, True])
def test_a_proxy(server, source, proxy, certificate, trace, tmp_path, monkeypatch, secure):  # noqa: PLR0917 fixtures
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app", "proxy": f"http://{proxy.address}"}
    if secure:
        server.secure(certificate / "ca.pem", certificate / "key.pem")
        entry.update(repo=f"{server.url}/app.git", ca_file=str(certificate / "ca.pem"))
    four_beats(**entry)
    begins = f"CONNECT {server.url[8:]} " if secure else f"GET {server.url}/app.git/info/refs?"
    assert proxy.requests[0].startswith(begins)
    passed = len(proxy.requests)
    proxy.user = f"me:{PASSWORD}"
    refused = shallow(**entry)
    assert "the proxy wants other credentials" in refused["msg"]
    assert len(proxy.requests) == passed
    entry["proxy"] = f"http://me:{PASSWORD}@{proxy.address}"
    moved = done(**entry, version="v50")
    assert_is(tmp_path / "app", source, "v50")
    assert len(proxy.requests) > passed
    assert_secret(trace, tmp_path / "app", refused, moved)
    entry["proxy"] = "http://127.0.0.1:1"
    assert "the server cannot be reached" in shallow(**entry, version="main")["msg"]


def test_a_credential_helper(server, source, trace, tmp_path):
    server.user = f"deploy:{PASSWORD}"
    helper, log = tmp_path / "helper", tmp_path / "asked"
    helper.write_text(
        f'#!/bin/sh\necho "$1" >> {log}\ncat >> {log}\n'
        f'test "$1" = get && printf "username=deploy\\npassword={PASSWORD}\\n"\nexit 0\n'
    )
    helper.chmod(0o755)
    other = tmp_path / "other"
    (tmp_path / ".gitconfig").write_text(f'[credential]\n\thelper = "!touch {other}; false"\n')
    entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app"}
    assert "the server wants other credentials" in shallow(**entry)["msg"]
    assert other.exists(), "the helper of the configuration is asked where none is declared"
    other.unlink()
    applied = four_beats(**entry, credential_helper=str(helper))
    assert_is(tmp_path / "app", source, "main")
    assert f"host={server.url[7:]}" in log.read_text()
    assert not other.exists()
    assert_secret(trace, tmp_path / "app", applied)


def test_an_old_git_and_a_password(server, tmp_path):
    """Before 2.9 other helpers cannot be left out, so a password is not handed to them.

    This build was made for another libcurl, and every other time its transport ends without a word: so it only asks
    here, until it has an answer.
    """
    try:
        place = gits.ensure("2.4.3")
    except gits.Unavailable as error:
        pytest.skip(f"git 2.4.3 can not be had here: {error}")
    server.user = f"deploy:{PASSWORD}"
    entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app", "version": "main"}
    entry.update(username="deploy", password=PASSWORD, env={"PATH": f"{place}:/usr/bin:/bin"})
    (tmp_path / ".gitconfig").write_text(f"[credential]\n\thelper = store --file={tmp_path}/stored\n")
    assert "cannot leave out credential.helper store" in shallow(**entry)["msg"]
    assert not (tmp_path / "app").exists()
    (tmp_path / ".gitconfig").unlink()
    for _attempt in range(15):
        planned = shallow(check=True, **entry)
        if not planned["failed"]:
            break
    assert not planned["failed"], planned
    assert planned["steps"][0].startswith(f"clone {tmp_path}/app: {server.url}/app.git branch main "), planned
    assert not (tmp_path / "stored").exists()


def test_addresses_that_the_configuration_rewrites(server, source, tmp_path):
    """Also into one with a password in it, which is no part of what is told."""
    server.user = f"deploy:{PASSWORD}"
    secret = server.url.replace("://", f"://deploy:{PASSWORD}@")
    (tmp_path / ".gitconfig").write_text(f'[url "{secret}/"]\n\tinsteadOf = https://short.example.com/\n')
    entry = {"repo": "https://short.example.com/app.git", "dest": tmp_path / "app"}
    results = [four_beats(**entry), shallow(**entry, version="none")]
    assert_is(tmp_path / "app", source, "main")
    assert "has no branch and no tag 'none'" in results[1]["msg"]
    server.user = "deploy:other"
    results.append(shallow(**entry, version="v50"))
    assert "the server wants other credentials" in results[2]["msg"]
    assert PASSWORD not in json.dumps(results)


def test_a_server_without_a_program(source, tmp_path):
    """Plain files over HTTP cannot be fetched in part, which is said; the whole history can."""
    git(source, "update-server-info")
    with web(source.parent) as server:
        server.plain = True
        entry = {"repo": f"{server.url}/app.git", "dest": tmp_path / "app", "version": "main"}
        assert "the server cannot send a part of the history; use depth: 0" in shallow(**entry)["msg"]
        assert not (tmp_path / "app").exists()
        done(**entry, depth=0)
        assert_is(tmp_path / "app", source, "main", depth=0)


@pytest.fixture
def large(tmp_path):
    """A repository with files of Git LFS below two directories; their content is in its store only."""
    work = new(tmp_path / "work")
    store = tmp_path / "served/app.git/lfs/objects"
    bare = new(tmp_path / "served/app.git", "--bare")
    contents = {}

    def pointer(number):
        content = f"content {number}\n".encode() * 1000
        oid = hashlib.sha256(content).hexdigest()
        place = store / oid[:2] / oid[2:4] / oid
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        contents[number] = content
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"

    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    commit(work, "one", **{"deep/down/.gitattributes": attributes, "deep/down/a.bin": pointer(1), "plain": "x"})
    git(work, "tag", "one")
    commit(work, "two", **{".gitattributes": attributes, "deep/down/a.bin": pointer(2), "b c.bin": pointer(3)})
    git(work, "push", "--quiet", str(bare), "main", "one")
    return bare, contents


@pytest.mark.parametrize("kind", ["http", "file"])
def test_files_of_lfs(large, trace, tmp_path, kind):
    source, contents = large
    dest = tmp_path / "app"
    with web(source.parent) as server:
        entry = {"repo": f"file://{source}", "dest": dest}
        if kind == "http":
            server.user = f"deploy:{PASSWORD}"
            entry = {"repo": f"{server.url}/app.git", "dest": dest, "username": "deploy", "password": PASSWORD}
        four_beats(**entry, version="one")
        assert (dest / "deep/down/a.bin").read_bytes() == contents[1]
        applied = four_beats(**entry, version="main")
        assert (dest / "deep/down/a.bin").read_bytes() == contents[2]
        assert (dest / "b c.bin").read_bytes() == contents[3]
        assert git(dest, "status", "--porcelain") == ""
        (dest / "b c.bin").unlink()
        git(dest, "checkout", "--", "b c.bin", GIT_LFS_SKIP_SMUDGE="1")
        for one in (dest / ".git/lfs/objects").rglob("*"):
            if one.is_file():
                one.unlink()
        again = four_beats(**entry, version="main")
        assert again["steps"] == [f"pull {dest}: LFS files b c.bin"]
        assert (dest / "b c.bin").read_bytes() == contents[3]
        (dest / "b c.bin").write_text("mine")
        assert "1 changed file (b c.bin)" in shallow(**entry, version="main")["msg"]
        four_beats(**entry, version="main", local_changes="discard")
        assert (dest / "b c.bin").read_bytes() == contents[3]
        if kind == "http":
            assert_secret(trace, dest, applied, again)
            server.requests.clear()
        assert shallow(**entry, version="main")["changed"] is False
        assert not [one for one in server.requests if "lfs" in one[1]], "a run with nothing to do asks for no file"


def test_files_of_lfs_that_are_not_wanted(large, tmp_path):
    source, _contents = large
    done(repo=f"file://{source}", dest=tmp_path / "app", version="main", lfs=False)
    assert (tmp_path / "app/b c.bin").read_text().startswith("version https://git-lfs")
    assert git(tmp_path / "app", "status", "--porcelain") == ""


def test_files_of_lfs_that_the_server_has_lost(large, tmp_path):
    """The checkout is there, the file is named, and the next run fetches it."""
    source, contents = large
    store = source / "lfs/objects"
    store.rename(source / "lfs/gone")
    entry = {"repo": f"file://{source}", "dest": tmp_path / "app", "version": "main"}
    assert shallow(**entry)["failed"]
    assert not (tmp_path / "app").exists()
    (source / "lfs/gone").rename(store)
    done(**entry)
    assert (tmp_path / "app/b c.bin").read_bytes() == contents[3]
