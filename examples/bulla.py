"""libbulla from Python, by ctypes: a small module to copy and to cut to size.

    with Bulla("file:backup.ring") as bulla, open("a.tar", "rb") as plain, open("a.tar.bulla", "wb") as sealed:
        bulla.seal(plain, sealed, name="a.tar")

Whatever has read(size) or write(bytes) will do. What was written before an error is not whole: drop it.
"""

import ctypes
from ctypes import (CFUNCTYPE, POINTER, byref, c_char, c_char_p, c_int, c_size_t, c_uint, c_uint8, c_uint32, c_uint64, c_void_p,
                    memmove, sizeof, string_at)  # fmt: skip

READ = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))
WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t)
SECRET = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int, c_void_p, c_size_t, POINTER(c_size_t))
VARIABLE = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
RUN = CFUNCTYPE(c_int, c_void_p, POINTER(c_char_p), c_uint, c_void_p, c_size_t, POINTER(c_size_t))
WARN = CFUNCTYPE(None, c_void_p, c_char_p)
TEXTS = POINTER(c_char_p)
FAILED, POLICY = 1, 7


class Error(Exception):
    """status is a number of enum bulla_status; hint may be empty."""

    def __init__(self, status, text, hint=""):
        super().__init__(text)
        self.status, self.hint = status, hint


class _Sized(ctypes.Structure):
    def __init__(self, **members):
        super().__init__(size=sizeof(self), **members)


class _Error(ctypes.Structure):
    _fields_ = [("status", c_int), ("text", c_char * 1024), ("hint", c_char * 512)]


class _Options(_Sized):
    _fields_ = [("size", c_size_t), ("keys", TEXTS), ("key_count", c_size_t), ("external", c_void_p), ("external_count", c_size_t),
                ("threads", c_uint), ("token_module", c_char_p), ("token_timeout", c_uint), ("kms_endpoint", c_char_p),
                ("kms_timeout", c_uint), ("passphrase_memory_kib", c_uint32), ("arg", c_void_p), ("secret", SECRET),
                ("variable", VARIABLE), ("run", RUN), ("warn", WARN)]  # fmt: skip


class _Input(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("read", READ), ("arg", c_void_p), ("fd", c_int)]


class _Output(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("write", WRITE), ("arg", c_void_p), ("fd", c_int)]


class _SealOptions(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("generation", c_uint64), ("context", TEXTS), ("context_count", c_size_t),
                ("suite", c_int)]  # fmt: skip


class _OpenOptions(_Sized):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("generation", c_uint64), ("context", TEXTS), ("context_count", c_size_t),
                ("strict", c_int)]  # fmt: skip


class _Change(_Sized):
    _fields_ = [("size", c_size_t), ("to", TEXTS), ("add", TEXTS), ("remove", TEXTS), ("to_count", c_size_t), ("add_count", c_size_t),
                ("remove_count", c_size_t), ("dry_run", c_int), ("preserve_times", c_int)]  # fmt: skip


class Report(_Sized):
    """What a call did: plain_size in bytes, and file_id."""

    _fields_ = [("size", c_size_t), ("plain_size", c_uint64), ("file_id", c_uint8 * 16)]


class State(_Sized):
    """What a file is to the keys, as struct bulla_state has it."""

    _fields_ = [("size", c_size_t), ("slots", c_size_t), ("current", c_size_t), ("old", c_size_t), ("maybe", c_size_t),
                ("other", c_size_t), ("due", c_int), ("copies_good", c_uint)]  # fmt: skip


def _texts(words):
    return (c_char_p * len(words))(*[word.encode() for word in words]), len(words)


def _context(pairs):
    words, count = _texts([f"{key}={value}" for key, value in (pairs or {}).items()])
    return {"context": words, "context_count": count}


class Bulla:
    """A handle: keys are references, secret(what, kind) gives a passphrase or PIN as bytes, warn(text) is told what to know."""

    def __init__(self, *keys, secret=None, warn=None, library="libbulla.so.0", **options):
        self._library, self._handle = ctypes.CDLL(library), c_void_p()
        self._raised = None  # by a callback, which must not raise it into C
        words, count = _texts(keys)
        self._kept = _Options(keys=words, key_count=count, **options)  # as long as the handle
        if secret is not None:
            self._kept.secret = SECRET(lambda arg, what, kind, out, room, size: self._give(secret, what, kind, out, room, size))
        if warn is not None:
            self._kept.warn = WARN(lambda arg, text: warn(text.decode()))
        self._call("bulla_new", byref(self._handle), byref(self._kept))

    def close(self):
        handle, self._handle = self._handle, c_void_p()
        self._library.bulla_free(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _call(self, name, *args):
        error, self._raised = _Error(), None
        status = getattr(self._library, name)(*args, byref(error))
        if self._raised is not None:
            raise self._raised
        if status != 0:
            raise Error(status, error.text.decode(errors="replace"), error.hint.decode(errors="replace"))

    def _guard(self, action):
        """What a callback answers."""
        try:
            action()
            return 0
        except BaseException as raised:  # Ctrl-C too: else C would take it for the end of the input
            self._raised = raised
            return FAILED

    def _give(self, secret, what, kind, out, room, size):
        given = []
        status = self._guard(lambda: given.append(secret(what.decode(), kind)))
        if status != 0 or given[0] is None or len(given[0]) > room:
            return status or POLICY
        memmove(out, given[0], len(given[0]))
        size[0] = len(given[0])
        return 0

    def _input(self, source):
        def read(arg, out, room, got):
            def take():
                chunk = source.read(room)
                memmove(out, chunk, len(chunk))
                got[0] = len(chunk)

            return self._guard(take)

        return byref(_Input(name=str(getattr(source, "name", "input")).encode(), read=READ(read), fd=-1))

    def _output(self, sink):
        def write(arg, chunk, size):
            def put():
                if sink.write(string_at(chunk, size)) != size:
                    raise OSError("not all bytes were written")

            return self._guard(put)

        return byref(_Output(name=str(getattr(sink, "name", "output")).encode(), write=WRITE(write), fd=-1))

    def seal(self, source, sink, name=None, generation=0, context=None):
        report, name = Report(), name.encode() if name is not None else None
        options = _SealOptions(name=name, generation=generation, **_context(context))
        self._call("bulla_seal", self._handle, byref(options), self._input(source), self._output(sink), byref(report))
        return report

    def open(self, source, sink, name=None, generation=0, context=None):
        report, name = Report(), name.encode() if name is not None else None
        options = _OpenOptions(name=name, generation=generation, **_context(context))
        self._call("bulla_open", self._handle, byref(options), self._input(source), self._output(sink), byref(report))
        return report

    def verify(self, source):
        report = Report()
        self._call("bulla_verify", self._handle, None, self._input(source), byref(report))
        return report

    def rewrap(self, path, to=(), add=(), remove=(), dry_run=False):
        """The number of enum bulla_rewrapped."""
        outcome, (tos, to_count), (adds, add_count) = c_int(), _texts(to), _texts(add)
        removes, remove_count = _texts(remove)
        change = _Change(to=tos, to_count=to_count, add=adds, add_count=add_count, remove=removes, remove_count=remove_count,
                         dry_run=dry_run)  # fmt: skip
        self._call("bulla_rewrap", self._handle, byref(change), str(path).encode(), byref(outcome))
        return outcome.value

    def status(self, source):
        state = State()
        self._call("bulla_status", self._handle, self._input(source), byref(state))
        return state

    def cancel(self):
        """From another thread: the running call ends by Error 130."""
        self._library.bulla_cancel(self._handle)
