"""Which keys a rewrap leaves a file with, where one key is named twice, or one name is of two keys."""

X = b"what is sealed"


def test_passphrase_is_added_beside_one_of_the_same_hint(bulla, ring):
    said = {name: bulla.home / name for name in ("first", "second")}
    for name, path in said.items():
        path.write_text(f"{name} passphrase\n")
    sealed = bulla.seal(ring, X, "-k", "passphrase:", env={"BULLA_NEW_PASSPHRASE_FILE": str(said["first"])})
    env = {"BULLA_PASSPHRASE_FILE": str(said["first"]), "BULLA_NEW_PASSPHRASE_FILE": str(said["second"])}
    done = bulla("rewrap", "-k", ring, "--share-branch", "--add", "passphrase:", sealed, env=env)
    assert b"1 rewrapped, 0 were current" in done.stderr
    for path in said.values():
        assert bulla.open("passphrase:", sealed, env={"BULLA_PASSPHRASE_FILE": str(path)}) == X
