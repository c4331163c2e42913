"""The payloads, a module for each family.

Those of the machine make system calls by number through `ctypes` too (`call(name, ...)` knows the numbers of
x86-64 and aarch64), so that no check in CPython stands between them and the kernel.  A call whose arguments
make no sense is harmless wherever it is admitted, and answers `EPERM` or ends the process where it is not.
"""
