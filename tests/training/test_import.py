import subprocess
import sys

HEAVY = ("lightning_fabric", "datasets", "kornia", "matplotlib", "sklearn", "PIL")


def test_importing_training_imports_no_extra() -> None:
    code = f"import sys, secateurs.training; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
