// node bytecode.mjs FOLDER: compiles every module in FOLDER with the CPython of Pyodide.
import { loadPyodide } from "pyodide";

const python = await loadPyodide({ stdout: console.log, stderr: console.error });
python.FS.mkdir("/folder");
python.FS.mount(python.FS.filesystems.NODEFS, { root: process.argv[2] }, "/folder");
const good = python.runPython(`
import compileall, py_compile, sys
assert sys.version_info[:2] == (3, 13), sys.version
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
bool(compileall.compile_dir("/folder", quiet=1, ddir="/var/task", invalidation_mode=unchecked, maxlevels=30))
`);
process.exit(good ? 0 : 1);
