"""The house: which floor may use which, and who may print or exit."""

import pathlib
import re
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
FLOORS = ["base", "crypto", "http", "aws", "keystore", "storage", "libbulla", "cmd"]  # from the ground up
STORES = sorted(p.name for p in (TOP / "keystore").iterdir() if p.is_dir())
KNOW_STORES = ["keystore/registry.h", "keystore/branch.h"]  # of all stores
SOURCES = sorted(p for floor in FLOORS for p in (TOP / floor).rglob("*.[ch]"))
BELOW_CMD = [p for p in SOURCES if not str(p.relative_to(TOP)).startswith("cmd/")]
USED_BY = {"http": ["http", "aws", "keystore/awskms", "storage/s3"], "aws": ["aws", "keystore/awskms", "storage/s3"]}  # a directory that not all above it may use: who may
ONE_PLACE = {
    "clock_gettime|gettimeofday|time|nanosleep|usleep|sleep": ["base/clock.c"],
    "fork|vfork|posix_spawnp?|exec[vl]p?e?|fexecve": ["cmd/subprocess.c"],
    "pthread_create": ["base/threads.c", "keystore/pkcs11/worker.c"],  # the latter's are left behind where a module hangs
}
LONG = ["tests/decoder/decode.py"]  # one file, so that a stranger can copy it

PRINTS = re.compile(r"\b(v?[fd]?printf|f?puts|f?putc|putchar|fwrite|json_dumpfd?|perror|exit|_exit|_Exit|abort)\s*\(")
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|rand|alloca|system|popen)\s*\(")
IGNORABLE = re.compile(r"^struct result \w+\(", re.M)
PROCESS = re.compile(r"\b(umask|signal|sigaction|sigprocmask|setrlimit|prctl|setenv|putenv|unsetenv|chdir|fchdir|dup2|atexit|setlocale|mallopt)\s*\(")
ALLOCATORS = re.compile(r"\b(CRYPTO_set_mem_functions|json_set_alloc_funcs|global_init_mem)\s*\(")
ALLOCATES = ["crypto/openssl_memory.c", "http/json.c", "http/libcurl.c", "keystore/keyring/secret_json.c"]
HINT = re.compile(r'\b(?:err|fail)_hint\(((?:[^()"]|"(?:\\.|[^"\\])*"|\((?:[^()"]|"(?:\\.|[^"\\])*")*\))*)\)\s*;')
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def code(path):
    """The text of a source without comments and strings."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text)


def floor_of(path):
    return FLOORS.index(path.split("/")[0])


def relative(path):
    return str(path.relative_to(TOP))


def offenders(pattern, paths):
    """Every place in the code of the paths that a pattern matches."""
    return [f"{relative(p)}: {m.group()}" for p in paths for m in pattern.finditer(code(p))]


def test_includes_go_down_only():
    up = []
    for path in SOURCES:
        for include in INCLUDE.findall(path.read_text()):
            assert (TOP / include).exists(), f"{relative(path)} includes {include}"
            if floor_of(include) > floor_of(relative(path)):
                up.append(f"{relative(path)} includes {include}")
    assert not up


def test_stores_do_not_know_each_other():
    for path in SOURCES:
        if path.parent.name not in STORES:
            continue
        for include in INCLUDE.findall(path.read_text()):
            parts = include.split("/")
            assert len(parts) < 3 or parts[1] == path.parent.name, f"{relative(path)} includes {include}"
            assert include not in KNOW_STORES, f"{relative(path)} includes {include}"


def test_no_store_is_named_outside_itself():
    """But in the list of all, in the names that the format has, and in the fields of the public header."""
    store = re.compile(r"pkcs#?11|aws-?kms|(?<![a-z])(?<!sse.)kms(?![a-z])", re.I)
    knows = {"keystore/store_list.c", "keystore/key_pair.c", "libbulla/bulla.h", "libbulla/handle.c"}
    others = [p for p in SOURCES if relative(p).split("/")[0] in ("base", "crypto", "libbulla", "cmd") or p.parent == TOP / "keystore"]
    assert [f"{relative(p)}: {m.group()}" for p in others if relative(p) not in knows for m in store.finditer(p.read_text())] == []
    assert all(store.search((TOP / name).read_text()) for name in knows)


def test_what_few_may_use_is_used_by_them_alone():
    for path in SOURCES:
        for include in INCLUDE.findall(path.read_text()):
            users = USED_BY.get(include.split("/")[0])
            assert users is None or any(relative(path).startswith(f"{user}/") for user in users), f"{relative(path)} includes {include}"


def test_only_cmd_prints_or_exits():
    assert not offenders(PRINTS, [p for p in SOURCES if relative(p).split("/")[0] != "cmd"])


def test_only_cmd_reads_the_environment():
    assert not offenders(re.compile(r"\b(secure_)?getenv\s*\(|\benviron\b"), BELOW_CMD)


def test_only_cmd_changes_the_process():
    """What is left below: the mask of a thread while it makes one of ours, and allocators for the program alone (base/host.h)."""
    assert not offenders(PROCESS, BELOW_CMD)
    assert PROCESS.search("umask(077);") and PROCESS.search("signal(SIGIO, f)") and not PROCESS.search("pthread_sigmask(a, b, c)")
    for path in BELOW_CMD:
        swaps = [m.start() for m in ALLOCATORS.finditer(code(path))]
        assert not swaps or relative(path) in ALLOCATES and "host_is_program()" in code(path), relative(path)


def test_hints_at_options_are_for_the_program_alone():
    """Who uses the library has no command line; another command may stand in a hint, as what to type."""
    wrong = []
    for path in BELOW_CMD:
        for call in HINT.findall(path.read_text()):
            text = re.sub(r"'bulla [^']*'?|aws .*--format process", "", "".join(re.findall(r'"((?:\\.|[^"\\])*)"', call)))
            wrong += [f"{relative(path)}: {text}"] if re.search(r"(?<![\w-])(--[a-z]|-[kjU]\b|-o names)", text.replace("; -k names a key", "")) else []
    assert not wrong
    assert HINT.findall('err_hint(err, "--force (or f()) does", f(x));')


def test_nothing_below_cmd_knows_the_standard_descriptors():
    assert not offenders(re.compile(r"\bSTD(IN|OUT)_FILENO\b|\bstd(in|out|err)\b"), BELOW_CMD)


def test_what_is_done_in_one_place_is_done_nowhere_else():
    for pattern, places in ONE_PLACE.items():
        assert not offenders(re.compile(rf"(?<!->)\b({pattern})\s*\("), [p for p in SOURCES if relative(p) not in places])


def test_results_are_printed_by_the_terminal():
    """Not by the stream and the descriptor that the code of others prints to."""
    others = [p for p in SOURCES if relative(p) not in ("cmd/terminal.c", "cmd/standard_streams.c", "cmd/subprocess.c", "cmd/main.c", "cmd/descriptor_uses.c")]
    assert not offenders(re.compile(r"\b(v?printf|puts|putchar)\s*\(|\bstdout\b|\bSTDOUT_FILENO\b"), others)


def test_no_result_of_a_header_may_be_ignored():
    assert not offenders(IGNORABLE, [p for p in SOURCES if p.suffix == ".h"])


def test_functions_this_house_does_without():
    assert not offenders(BANNED, SOURCES)


def test_a_file_has_at_most_600_lines():
    files = [*SOURCES, *(p for suffix in ("py", "c", "h") for p in (TOP / "tests").rglob(f"*.{suffix}"))]
    assert [relative(p) for p in files if len(p.read_text().splitlines()) > 600] == LONG


def test_the_patterns_find_what_they_look_for():
    assert all(PRINTS.search(f"    {name}(x);") for name in ("printf", "vfprintf", "dprintf", "fputs", "fputc", "putc", "json_dumpf", "exit"))
    assert not PRINTS.search("snprintf(out, n, fmt)") and not PRINTS.search("json_dumps(x, 0)") and not PRINTS.search("on_exit_path(x)")
    assert BANNED.search("strcpy(a, b)") and INCLUDE.findall('#include "cmd/main.h"\n') == ["cmd/main.h"]


def test_every_source_is_built():
    listed = {str((p.parent / name).relative_to(TOP))
              for floor in FLOORS for p in (TOP / floor).rglob("meson.build")
              for name in re.findall(r"'([\w/]+\.c)'", p.read_text())}
    assert listed == {relative(p) for p in SOURCES if p.suffix == ".c"}


def test_the_tree_is_as_clang_format_has_it():
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True, check=True).stdout
    if " version 14." not in version:
        pytest.skip(f"the tree is as clang-format 14 has it, and this is {version.strip()}")
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", *map(str, SOURCES)], capture_output=True)
    assert run.returncode == 0, run.stderr.decode()[:2000]


def test_modules_of_tests_have_names_of_their_own():
    """Directories that are collected in one run find each other's."""
    names = [p.name for p in (TOP / "tests").rglob("*.py") if p.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))


def test_the_drawing_is_that_of_the_tree():
    subprocess.run([TOP / "docs/draw-architecture", "--check"], check=True)


def test_the_readers_of_foreign_bytes_are_there():
    sys.path.insert(0, str(TOP / "tests" / "fuzz"))
    from readers import READERS

    assert not [path for path in READERS if not (TOP / path).exists()] and len(READERS) == len(set(READERS))
    table = (TOP / "docs/FUZZING.md").read_text().partition("\n| reader |")[2]
    assert re.findall(r"^\| ([\w/.]+\.c) \|", table, re.M) == READERS


PARAMETERS = 7  # at most


def parameters(text):
    """The functions that are declared or defined in code without comments, and how many parameters each has."""
    found = re.finditer(r"^(?:[A-Za-z_][\w \*]*?[ \*])(\w+)\(([^;{}()]*(?:\([^()]*\)[^;{}()]*)*)\)\s*[;{]", text, re.M)
    return {m[1]: len(re.sub(r"\([^()]*\)", "", m[2]).split(",")) for m in found}


def test_no_function_has_many_parameters():
    assert not [f"{relative(p)}: {name}" for p in SOURCES for name, count in parameters(code(p)).items() if count > PARAMETERS]
    assert parameters("static int f(int a, int (*b)(int, int),\n        int c)\n{\n") == {"f": 3}
