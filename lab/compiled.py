# SPDX-FileCopyrightText: hostcraft.linux contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Python that keeps what it has compiled of the modules that Ansible sends: the sitecustomize of virtual machines.

Ansible sends each module as a new zip archive with all that it imports, of which Python keeps no byte code: a third of
what a task takes in an emulated machine is to compile the same files once more. What is run is the same. Nothing is
kept where the directory is missing, as in the machines of the benchmarks.
"""

import marshal
import os
import zipimport
from _imp import _fix_co_filename, source_hash

DIRECTORY = "/var/cache/lab/compiled"
_compile = zipimport._compile_source


def compile_source(path, source):
    """Return the code of a module in a zip archive: what was kept of the same source, else newly compiled."""
    name = f"{DIRECTORY}/{source_hash(len(source), source).hex()}-{len(source)}"
    try:
        with open(name, "rb") as stream:
            code = marshal.load(stream)
    except (OSError, ValueError, EOFError, TypeError):  # not there, or cut short by a reset
        code = _compile(path, source)
        _keep(name, code)
    else:
        _fix_co_filename(code, path)  # the archive has another name each time
    return code


def _keep(name, code):
    beside = f"{name}.{os.getpid()}"
    try:
        with open(beside, "xb") as stream:
            marshal.dump(code, stream)
        os.rename(beside, name)
    except OSError:  # a full disk, or a user who may not
        if os.path.exists(beside):
            os.unlink(beside)


if os.path.isdir(DIRECTORY):
    zipimport._compile_source = compile_source
