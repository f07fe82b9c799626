"""A FUSE that hands everything on to a directory, but fails where it is told to: faulty.py STORE MOUNT OPERATION=ERROR...

An operation is one of FUSE's, as fusepy calls them; OWNER=UID says whose files are, as NFS with root_squash does.
"""

import errno
import os
import stat
import sys

try:
    import fusepy as fuse
except ImportError:
    import fuse


class Faulty(fuse.Operations):
    def __init__(self, store, faults, owner):
        self.store, self.faults, self.owner = store, faults, owner

    def __call__(self, operation, path, *args):
        if operation in self.faults:
            raise fuse.FuseOSError(self.faults[operation])
        return getattr(self, operation)(None if path is None else self.store + path, *args)

    def getattr(self, path, handle=None):
        st = os.lstat(path)
        found = {key: getattr(st, key) for key in dir(st) if key.startswith("st_")}
        return found if self.owner is None or stat.S_ISDIR(st.st_mode) else found | {"st_uid": self.owner}

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(path)]

    def create(self, path, mode, info=None):
        return os.open(path, os.O_RDWR | os.O_CREAT, mode)

    def open(self, path, flags):
        return os.open(path, flags & os.O_ACCMODE)

    def read(self, path, size, offset, handle):
        return os.pread(handle, size, offset)

    def write(self, path, data, offset, handle):
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, handle=None):
        os.truncate(path, length)

    def flush(self, path, handle):
        pass

    def fsync(self, path, data_only, handle):
        os.fsync(handle)

    def fsyncdir(self, path, data_only, handle):
        pass

    def release(self, path, handle):
        os.close(handle)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        os.chown(path, uid, gid)

    def utimens(self, path, times=None):
        os.utime(path, times)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, old, new):
        os.rename(old, self.store + new)

    def link(self, target, source):
        os.link(self.store + source, target)


def main(store, at, *settings):
    settings = dict(setting.split("=") for setting in settings)
    owner = settings.pop("OWNER", None)
    faults = {operation: getattr(errno, error) for operation, error in settings.items()}
    fuse.FUSE(Faulty(store, faults, owner and int(owner)), at, foreground=True, nothreads=True)


main(*sys.argv[1:])
