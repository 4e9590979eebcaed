import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What a request rarely or never needs, or what takes long to import: it comes when it is first used.
NOT_AT_THE_START = {
    "cryptography",
    "functions.api.routes.users",
    "jsonata",
    "jsonatapy",
    "jsonschema",
    "jwt",
    "openai",
    "stepfunctions.compiler",
}


def test_a_cold_start_imports_only_what_every_request_needs():
    script = "import functions.api.handler, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "functions.api.deps" in loaded
    assert not loaded & NOT_AT_THE_START
