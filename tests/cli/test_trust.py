"""Who is believed: a file that somebody else may have written chooses no key, module or program, and is no secret."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from program import SANITIZED
from sealed import snapshot

OTHER = 4711  # a user with nothing of his own
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")

PASSPHRASE = b"correct horse\n"
EVIL = '#include <fcntl.h>\n__attribute__((constructor)) static void ran(void) { open("%s", O_CREAT | O_WRONLY, 0666); }\n'


@pytest.fixture
def place(bulla):
    """A directory that every user can reach; bulla runs in one below it."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bulla-trust-", dir="/tmp"))
    place.chmod(0o755)
    bulla.work = place / "work"
    (place / "above/within").mkdir(parents=True)
    (place / "elsewhere").mkdir()
    bulla.work.mkdir()
    yield place
    shutil.rmtree(place)


def public_key(bulla, path):
    bulla("key", "new", "-q", "--kind", "x25519", bulla.keys / "pair")
    bulla("key", "export-public", bulla.keys / "pair", "-o", path)
    return ["-k", path], {}


def pem(bulla, path):
    """Of a key that is on no token: it seals."""
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", bulla.keys / "ec"], check=True)
    subprocess.run(["openssl", "pkey", "-in", bulla.keys / "ec", "-pubout", "-out", path], check=True, stderr=subprocess.DEVNULL)
    return ["-k", path], {}


def keyring(bulla, path):
    bulla("key", "new", "-q", path)
    return ["-k", path], {}


def passphrase_file(bulla, path):
    path.write_bytes(PASSPHRASE)
    return ["-k", "passphrase:"], {"BULLA_NEW_PASSPHRASE_FILE": str(path)}


def config_file(bulla, path):
    bulla("key", "new", "-q", bulla.keys / "ring")
    path.write_text(f"[keys]\nnightly = {bulla.keys}/ring\n")
    return ["-k", "nightly"], {"BULLA_CONFIG": str(path)}


KINDS = {"config file": config_file, "public key": public_key, "public key (PEM)": pem, "passphrase file": passphrase_file, "keyring": keyring}
OWN_RULE = {"keyring"}  # for the file itself: it is for one user alone


def link_to(place, target):
    """The file goes elsewhere, and a link to it takes its place."""
    (place / "above/within/file").rename(target)
    (place / "above/within/file").symlink_to(target)


# What makes a file doubtful, by a function of the place; the file is above/within/file. Then what is said, and the hint.
DIRECTORY, ABOVE, FILE = ("above/within", "above", "above/within/file")
MODES = {
    "the group of the file": (lambda p: (p / FILE).chmod(0o664), f"its group can write file '{{}}/{FILE}' (mode 664)", f"chmod g-w '{{}}/{FILE}'"),
    "others, the file": (lambda p: (p / FILE).chmod(0o646), f"others can write file '{{}}/{FILE}' (mode 646)", f"chmod o-w '{{}}/{FILE}'"),
    "all, the file": (lambda p: (p / FILE).chmod(0o666), f"its group and others can write file '{{}}/{FILE}' (mode 666)", f"chmod go-w '{{}}/{FILE}'"),
    "the group of the directory": (lambda p: (p / DIRECTORY).chmod(0o775), f"its group can write directory '{{}}/{DIRECTORY}' (mode 775)", f"chmod g-w '{{}}/{DIRECTORY}'"),
    "all, the directory": (lambda p: (p / DIRECTORY).chmod(0o777), f"its group and others can write directory '{{}}/{DIRECTORY}' (mode 777)", f"chmod go-w '{{}}/{DIRECTORY}'"),
    "a directory above": (lambda p: (p / ABOVE).chmod(0o777), f"its group and others can write directory '{{}}/{ABOVE}' (mode 777)", f"chmod go-w '{{}}/{ABOVE}'"),
}  # fmt: skip
OWNERS = {
    "the file": (lambda p: os.chown(p / FILE, OTHER, -1), f"file '{{}}/{FILE}' belongs to user {OTHER}", f"chown root '{{}}/{FILE}', or copy it to /etc/bulla"),
    "the directory": (lambda p: os.chown(p / DIRECTORY, OTHER, -1), f"directory '{{}}/{DIRECTORY}' belongs to user {OTHER}", "copy it to /etc/bulla"),
    "a directory above": (lambda p: os.chown(p / ABOVE, OTHER, -1), f"directory '{{}}/{ABOVE}' belongs to user {OTHER}", "copy it to /etc/bulla"),
}  # fmt: skip


def refused(bulla, place, kind, spoil, says, hint):
    """It was fine before, nothing is sealed, and nothing is left."""
    args, env = KINDS[kind](bulla, place / FILE)
    assert bulla("encrypt", *args, stdin=b"x", env=env).stdout
    spoil(place)
    before = snapshot(place)
    done = bulla("encrypt", *args, "-o", "sealed", stdin=b"x", env=env, status=7)
    said = done.stderr.decode()
    assert f"bulla: {kind.split(' (')[0]} '{place}/{FILE}' may be from somebody else: " + says.format(place) + "\n" in said
    assert "hint: if you trust it" in said and hint.format(place) in said
    assert snapshot(place) == before


def pairs(cases):
    return [(kind, case) for case, (_, says, _) in cases.items() for kind in KINDS if kind not in OWN_RULE or "directory" in says]


@pytest.mark.parametrize("kind, case", pairs(MODES))
def test_what_others_may_write_is_not_believed(bulla, place, kind, case):
    refused(bulla, place, kind, *MODES[case])


@as_root
@pytest.mark.parametrize("kind, case", pairs(OWNERS))
def test_what_is_of_another_user_is_not_believed(bulla, place, kind, case):
    refused(bulla, place, kind, *OWNERS[case])


@pytest.mark.parametrize("kind", KINDS)
def test_directory_of_a_link_and_of_its_target(bulla, place, kind):
    args, env = KINDS[kind](bulla, place / FILE)
    link_to(place, place / "elsewhere/file")
    assert bulla("encrypt", *args, stdin=b"x", env=env).stdout
    for directory in (DIRECTORY, "elsewhere"):
        (place / directory).chmod(0o777)
        said = bulla("encrypt", *args, "-o", "sealed", stdin=b"x", env=env, status=7).stderr.decode()
        assert f"can write directory '{place}/{directory}'" in said and not (bulla.work / "sealed").exists()
        (place / directory).chmod(0o755)


def test_link_of_a_directory_on_the_way(bulla, place):
    """Its target too is walked to from the root; a link with a relative target from where it is."""
    (place / "way").symlink_to("elsewhere/../above")
    args, env = config_file(bulla, place / "way/within/file")
    assert bulla("encrypt", *args, stdin=b"x", env=env).stdout
    (place / "elsewhere").chmod(0o777)
    said = bulla("encrypt", *args, stdin=b"x", env=env, status=7).stderr.decode()
    assert f"can write directory '{place}/elsewhere'" in said


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_sticky_directory_is_safe_for_a_file_of_the_right_owner(bulla, place, kind):
    (place / DIRECTORY).chmod(0o1777)
    args, env = KINDS[kind](bulla, place / FILE)
    assert bulla("encrypt", *args, stdin=b"x", env=env).stdout
    os.chown(place / FILE, OTHER, -1)
    said = bulla("encrypt", *args, "-o", "sealed", stdin=b"x", env=env, status=7).stderr.decode()
    assert ("belongs to another user" if kind in OWN_RULE else f"belongs to user {OTHER}") in said and not (bulla.work / "sealed").exists()


@as_root
@pytest.mark.parametrize("kind", KINDS)
def test_link_that_another_user_made_in_a_sticky_directory(bulla, place, kind):
    (place / DIRECTORY).chmod(0o1777)
    args, env = KINDS[kind](bulla, place / FILE)
    link_to(place, place / "elsewhere/file")
    assert bulla("encrypt", *args, stdin=b"x", env=env).stdout
    os.chown(place / FILE, OTHER, -1, follow_symlinks=False)
    said = bulla("encrypt", *args, "-o", "sealed", stdin=b"x", env=env, status=7).stderr.decode()
    assert f"symbolic link '{place}/{FILE}' belongs to user {OTHER}" in said and not (bulla.work / "sealed").exists()


def test_keyring_is_not_made_where_it_would_not_be_believed(bulla, place):
    (place / DIRECTORY).chmod(0o777)
    said = bulla("key", "new", place / FILE, status=7).stderr.decode()
    assert f"keyring '{place}/{FILE}' may be from somebody else" in said and not list((place / DIRECTORY).iterdir())


def test_relative_path_begins_at_the_working_directory(bulla, place):
    """Which is open already, so that nobody can put another in its place; but it is judged itself."""
    (place / "work/sub").mkdir()
    keyring(bulla, "sub/ring")
    place.chmod(0o777)
    assert bulla("encrypt", "-k", "sub/ring", stdin=b"x").stdout
    bulla("encrypt", "-k", bulla.work / "sub/ring", stdin=b"x", status=7)
    bulla.work.chmod(0o775)
    said = bulla("encrypt", "-k", "sub/ring", stdin=b"x", status=7).stderr.decode()
    assert "its group can write directory '.' (mode 775)\n" in said and "chmod g-w '.'" in said
    bulla.work.chmod(0o755)
    (place / "work/sub").chmod(0o757)
    assert "others can write directory 'sub' (mode 757)\n" in bulla("encrypt", "-k", "./sub/ring", stdin=b"x", status=7).stderr.decode().replace("./", "")


# Another user's home.


@as_root
def test_config_of_another_home_loads_no_module(bulla, place):
    """As under "sudo -E"."""
    config = place / "alice/.config/bulla/bulla.conf"
    config.parent.mkdir(parents=True)
    (place / "evil.c").write_text(EVIL % (place / "ran"))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", place / "alice/evil.so", place / "evil.c"], check=True)
    config.write_text(f"[keys]\nnightly = pkcs11:token=t?module-path={place}/alice/evil.so\n")
    env = {"HOME": str(place / "alice"), "XDG_CONFIG_HOME": ""}
    bulla("encrypt", "-k", "nightly", stdin=b"x", env=env, status=(5, 6))
    (place / "ran").unlink(missing_ok=SANITIZED)  # the module is what was loaded
    subprocess.run(["chown", "-R", str(OTHER), place / "alice"], check=True)
    done = bulla("encrypt", "-k", "nightly", "-o", "sealed", stdin=b"x", env=env, status=7)
    assert f"directory '{place}/alice' belongs to user {OTHER}\n" in done.stderr.decode() and b"BULLA_CONFIG names another\n" in done.stderr
    assert not (place / "ran").exists() and not (bulla.work / "sealed").exists()


def as_other(bulla, *args, under=(), **how):
    """Runs as the other user, who owns the directory it runs in."""
    os.chown(bulla.work, OTHER, OTHER)
    return bulla(*args, under=["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", *under], **how)


@as_root
@pytest.mark.parametrize("mode", [0o644, 0o444, 0o440], ids=oct)
def test_files_of_root_are_believed(bulla, place, mode):
    for kind in (kind for kind in KINDS if kind not in OWN_RULE):
        args, env = KINDS[kind](bulla, place / FILE)
        (place / FILE).chmod(mode)
        os.chown(place / FILE, 0, OTHER)
        if kind != "config file":  # whose keyring is not the other user's
            assert as_other(bulla, "encrypt", *args, stdin=b"x", env=env).stdout
        (place / FILE).unlink()
        shutil.rmtree(bulla.keys)
        bulla.keys.mkdir()


@as_root
def test_own_files_of_a_user_are_believed_but_not_a_strangers(bulla, place):
    args, env = public_key(bulla, place / FILE)
    for path in (place / DIRECTORY, place / FILE):
        os.chown(path, OTHER, OTHER)
    assert as_other(bulla, "encrypt", *args, stdin=b"x").stdout
    os.chown(place / FILE, OTHER + 1, OTHER)
    said = as_other(bulla, "encrypt", *args, stdin=b"x", status=7).stderr.decode()
    assert f"belongs to user {OTHER + 1}\n" in said and "hint: if you trust it, copy it to a directory of yours, or run bulla as that user\n" in said


@as_root
def test_mounted_secret(bulla, place):
    """As Kubernetes has it: two links in a sticky directory, files that a group may read."""
    mount = place / "secret"
    version = mount / "..2026_11_28"
    version.mkdir(parents=True)
    args, _ = public_key(bulla, version / "key.pub")
    (version / "pass").write_bytes(PASSPHRASE)
    (mount / "..data").symlink_to(version.name)
    for name in ("key.pub", "pass"):
        (version / name).chmod(0o440)
        os.chown(version / name, 0, OTHER)
        (mount / name).symlink_to(f"..data/{name}")
    mount.chmod(0o3777)
    assert as_other(bulla, "encrypt", "-k", mount / "key.pub", stdin=b"x").stdout
    assert as_other(bulla, "encrypt", "-k", "passphrase:", stdin=b"x", env={"BULLA_NEW_PASSPHRASE_FILE": str(mount / "pass")}).stdout


@as_root
def test_user_namespace_in_which_root_has_no_number(bulla, place):
    """The directories above belong to nobody there, and a file of nobody may be a stranger's."""
    inside = ["unshare", "--user", "--map-root-user"]
    if subprocess.run(["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", *inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    args, env = public_key(bulla, place / FILE)
    for path in (place, place / DIRECTORY, place / FILE):  # and one between is not his
        os.chown(path, OTHER, OTHER)
    assert as_other(bulla, "encrypt", *args, stdin=b"x", under=inside).stdout
    for doubtful in (place / FILE, place):  # a file of nobody's, and a directory of nobody's in /tmp
        os.chown(doubtful, 0, 0)
        assert f"'{doubtful}' belongs to user 65534\n" in as_other(bulla, "encrypt", *args, stdin=b"x", under=inside, status=7).stderr.decode()
        os.chown(doubtful, OTHER, OTHER)


# What the caller opened himself.


def test_descriptors_are_believed(bulla, place):
    args, env = passphrase_file(bulla, place / FILE)
    (place / FILE).chmod(0o666)
    with open(place / FILE, "rb") as file:
        for path in (f"/dev/fd/{file.fileno()}", f"/proc/self/fd/{file.fileno()}"):
            file.seek(0)
            assert bulla("encrypt", *args, stdin=b"x", env={"BULLA_NEW_PASSPHRASE_FILE": path}, pass_fds=[file.fileno()]).stdout
        file.seek(0)
        assert bulla("encrypt", *args, "--new-passphrase-fd", str(file.fileno()), stdin=b"x", pass_fds=[file.fileno()]).stdout


def test_pipe_of_the_shell_is_believed(bulla, place):
    shell = ["bash", "-c", 'exec 9< <(echo correct horse); BULLA_NEW_PASSPHRASE_FILE=/dev/fd/9 exec "$0" "$@"']
    assert bulla("encrypt", "-k", "passphrase:", stdin=b"x", under=shell).stdout


def test_no_config_at_all(bulla, place):
    assert b"no config file names a key 'nightly'" in bulla("encrypt", "-k", "nightly", env={"BULLA_CONFIG": "/dev/null"}, status=10).stderr


def test_descriptor_reached_by_a_doubtful_link(bulla, place):
    """Here it is not the caller who says so."""
    ours, theirs = os.pipe()
    os.write(theirs, PASSPHRASE)
    os.close(theirs)
    (place / FILE).symlink_to(f"/proc/self/fd/{ours}")
    (place / DIRECTORY).chmod(0o777)
    env = {"BULLA_NEW_PASSPHRASE_FILE": str(place / FILE)}
    said = bulla("encrypt", "-k", "passphrase:", "-o", "sealed", stdin=b"x", env=env, pass_fds=[ours], status=7).stderr.decode()
    assert f"can write directory '{place}/{DIRECTORY}'" in said and not (bulla.work / "sealed").exists()
    (place / DIRECTORY).chmod(0o755)
    assert bulla("encrypt", "-k", "passphrase:", stdin=b"x", env=env, pass_fds=[ours]).stdout
    os.close(ours)


def test_directory_of_a_process(bulla, place):
    """It is open, as the working directory is, and judged like that."""
    args, env = public_key(bulla, bulla.work / "pub")
    assert bulla("encrypt", "-k", "/proc/self/cwd/pub", stdin=b"x").stdout
    bulla.work.chmod(0o777)
    bulla("encrypt", "-k", "/proc/self/cwd/pub", stdin=b"x", status=7)
