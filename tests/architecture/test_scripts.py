# SPDX-License-Identifier: Apache-2.0
"""The shell scripts: their syntax, scripts/setup for a normal user, and the Slurm job with stand-ins for Slurm's commands."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "scripts" / name for name in ["setup", "test", "reproduce", "lint", "compile-for", "test-threads", "namespace-rings", "functions.sh"]]
SCRIPTS += [ROOT / ".ci" / "run", *sorted((ROOT / "experiments" / "batch").glob("*.sh"))]
# The stand-in of the launcher first plays the calibration: it writes the machine file that is asked for.
CALIBRATE = """if [[ " $* " == *" calibrate "* ]]; then
  while [[ $1 != --output ]]; do [[ $1 == --name ]] && name=$2; shift; done
  echo "{}" >"$2/$name.json"; exit
fi
"""
RESTART = ROOT / "experiments" / "batch" / "restart.sh"
SLURM = ROOT / "experiments" / "batch" / "slurm.sh"


def write_command(folder, name, body):
    """An executable shell script `name` in `folder`."""
    path = Path(folder) / name
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


class Syntax(unittest.TestCase):
    def test_bash_reads_every_script(self):
        for script in SCRIPTS:
            with self.subTest(script=script.name):
                run = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
                self.assertEqual((run.returncode, run.stderr), (0, ""))

    def test_shellcheck_finds_nothing(self):
        if not shutil.which("shellcheck"):
            self.skipTest("no shellcheck")
        run = subprocess.run(["shellcheck", "-x", *map(str, SCRIPTS)], capture_output=True, text=True, cwd=ROOT)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_continuous_integration_calls_the_test_script_and_nothing_else(self):
        commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
        self.assertEqual(commands[-1], "exec ./scripts/test")
        self.assertTrue(all(line.startswith(("set ", "cd ", "exec ./scripts/test")) for line in commands), commands)


class Setup(unittest.TestCase):
    """scripts/setup in a copy of the tree, where apt-get and pip must not be called."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tree = Path(self.folder.name) / "tree"
        shutil.copytree(ROOT / "scripts", self.tree / "scripts")
        shutil.copytree(ROOT / "cmake", self.tree / "cmake")  # the probe looks for libraries as the build does
        self.commands = Path(self.folder.name) / "commands"
        self.commands.mkdir()
        write_command(self.commands, "id", "echo 1000")
        write_command(self.commands, "apt-get", f'touch "{self.folder.name}/installed"; exit 1')

    def run_setup(self, path, **environment):
        variables = {name: value for name, value in os.environ.items() if name not in ("Kokkos_ROOT", "CMAKE_PREFIX_PATH")}
        return subprocess.run([str(self.tree / "scripts" / "setup")], capture_output=True, text=True,
                              env={**variables, "PATH": path, **environment})

    def assert_installed_nothing(self):
        self.assertFalse((Path(self.folder.name) / "installed").exists())
        self.assertFalse((self.tree / ".deps" / "kokkos").exists())

    def test_normal_user_with_something_missing_gets_one_line(self):
        for name in ["bash", "env", "dirname", "basename", "mkdir", "rm", "flock", "sed", "sort", "head", "cat", "cmake"]:
            (self.commands / name).symlink_to(shutil.which(name))
        run = self.run_setup(str(self.commands), RINGSCALE_PYTHON="/nonexistent")
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)
        for name in ["C++20 compiler", "Ninja", "MPI", "apt-get install", "ninja-build", "libmpich-dev"]:
            self.assertIn(name, run.stderr)
        self.assertNotIn("CMake", run.stderr)
        self.assertEqual(run.stdout, "")
        self.assert_installed_nothing()

    def test_normal_user_with_everything_installs_nothing_and_looks_once(self):
        kokkos = os.environ.get("RINGSCALE_TEST_KOKKOS")
        if not kokkos:
            self.skipTest("RINGSCALE_TEST_KOKKOS is not set")
        path = f"{self.commands}{os.pathsep}{os.environ['PATH']}"
        first = self.run_setup(path, Kokkos_ROOT=kokkos)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("Kokkos at", first.stderr)
        second = self.run_setup(path, Kokkos_ROOT=kokkos)
        self.assertEqual((second.returncode, second.stderr), (0, "== setup: nothing to do\n"))
        self.assert_installed_nothing()

    def test_unknown_argument(self):
        run = subprocess.run([str(self.tree / "scripts" / "setup"), "--frobnicate"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 2)
        self.assertIn("--frobnicate", run.stderr)


class Reproduce(unittest.TestCase):
    """Wrong arguments of scripts/reproduce end it before anything is installed, built or made."""

    def assert_refused(self, arguments, fragment):
        run = subprocess.run([str(ROOT / "scripts" / "reproduce"), *arguments], capture_output=True, text=True, timeout=30)
        self.assertEqual(run.returncode, 2)
        self.assertEqual(len(run.stderr.splitlines()), 1, run.stderr)
        self.assertIn(fragment, run.stderr)
        self.assertEqual(run.stdout, "")

    def test_wrong_arguments(self):
        self.assert_refused(["--fast"], "--fast")
        self.assert_refused(["--output"], "--output")
        self.assert_refused(["--ranks", "0"], "--ranks")
        self.assert_refused(["--ranks", "-4"], "--ranks")

    def test_earlier_results_are_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assert_refused(["--output", folder], "never overwritten")

    def test_help(self):
        run = subprocess.run([str(ROOT / "scripts" / "reproduce"), "--help"], capture_output=True, text=True, timeout=30)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("--full", run.stdout)


class CompileFor(unittest.TestCase):
    """scripts/compile-for with a stand-in for nvcc; what it compiles is tested by compile_for_cuda and its like."""

    def run_script(self, *arguments, **environment):
        return subprocess.run([str(ROOT / "scripts" / "compile-for"), *arguments], capture_output=True, text=True,
                              timeout=60, env={**os.environ, **environment})

    def test_help_and_wrong_use(self):
        self.assertEqual(self.run_script("--help").returncode, 0)
        self.assertIn("cuda", self.run_script("--help").stdout)
        for arguments, fragment in [([], "no target"), (["abacus"], "abacus")]:
            run = self.run_script(*arguments)
            self.assertEqual((run.returncode, run.stdout, len(run.stderr.splitlines())), (2, "", 1), run.stderr)
            self.assertIn(fragment, run.stderr)

    def test_missing_compiler_is_said_and_skipped(self):
        run = self.run_script("neon", NEON_CXX="/nonexistent/g++")
        self.assertEqual((run.returncode, run.stderr), (77, ""))
        self.assertIn("skipped", run.stdout)

    def test_missing_kokkos_and_source_are_one_line(self):
        for environment, source in [({"KOKKOS_INCLUDE": "/nonexistent"}, "x.cpp"), ({}, "/nonexistent/x.cpp")]:
            kokkos = os.environ.get("RINGSCALE_TEST_KOKKOS")
            if kokkos and not environment:
                environment = {"KOKKOS_INCLUDE": str(Path(kokkos).parents[2] / "include")}
            run = self.run_script("neon", source, NEON_CXX="true", **environment)
            self.assertEqual((run.returncode, len(run.stderr.splitlines())), (2, 1), run.stderr)
            self.assertIn("/nonexistent", run.stderr)


class SlurmJob(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = Path(self.folder.name) / "log"
        self.log.touch()
        write_command(self.folder.name, "scontrol", f'echo "scontrol $*" >>"{self.log}"')

    def start(self, left="29:00", step="exit 0", **environment):
        """The job with squeue printing `left` and srun running `step`."""
        write_command(self.folder.name, "squeue", f"echo '{left}'")
        write_command(self.folder.name, "srun", CALIBRATE + f'echo "srun $*" >>"{self.log}"\n{step}')
        shutil.copy(Path(self.folder.name) / "srun", Path(self.folder.name) / "mpiexec")
        variables = {"PATH": f"{self.folder.name}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "17",
                     "SLURM_NTASKS": "4", "OUTPUT": f"{self.folder.name}/out", **environment}
        return subprocess.Popen(["bash", str(SLURM)], env={**os.environ, **variables}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, cwd=self.folder.name)

    def code(self, **arguments):
        job = self.start(**arguments)
        self.output, _ = job.communicate(timeout=60)
        return job.returncode

    def test_finished_sweep(self):
        self.assertEqual(self.code(), 0)
        self.assertIn("sweep experiments/quick.json --machine", self.log.read_text())
        self.assertIn("--mpi=pmi2", self.log.read_text())
        self.assertIn(f"--machine {self.folder.name}/out/machines/nodes.json", self.log.read_text())
        self.assertNotIn("--resume", self.log.read_text())
        self.assertNotIn("scontrol", self.log.read_text())

    def test_mpiexec(self):
        self.assertEqual(self.code(LAUNCHER="mpiexec"), 0)
        self.assertIn("-n 4 build/release/ringscale sweep", self.log.read_text())

    def test_invalid_result_is_not_run_again(self):
        for code in ["1", "2"]:
            self.assertEqual(self.code(step=f"exit {code}"), int(code))
            self.assertNotIn("scontrol", self.log.read_text())

    def test_incomplete_sweep_is_requeued_and_resumed(self):
        self.assertEqual(self.code(step="exit 75"), 75)
        self.assertIn("scontrol requeue 17", self.log.read_text())
        (Path(self.folder.name) / "out" / "sweep").mkdir()
        self.assertEqual(self.code(SLURM_RESTART_COUNT="1"), 0)
        self.assertIn("--resume", self.log.read_text().splitlines()[-1])

    def test_restarts_are_bounded(self):
        self.assertEqual(self.code(step="exit 75", SLURM_RESTART_COUNT="20"), 75)
        self.assertNotIn("scontrol", self.log.read_text())
        self.assertIn("giving up", self.output)

    def test_time_budget(self):
        for left, budget in [("29:00", 1440), ("1:02:03", 3423), ("2-00:00:00", 172500), ("08:09", 189)]:
            with self.subTest(left=left):
                self.log.write_text("")
                self.assertEqual(self.code(left=left), 0)
                self.assertIn(f"--time-budget {budget}\n", self.log.read_text() + "\n")
        self.assertEqual(self.code(left="UNLIMITED"), 0)
        self.assertNotIn("--time-budget", self.log.read_text().splitlines()[-1])

    def test_too_little_time(self):
        self.assertEqual(self.code(left="4:59"), 2)
        self.assertIn("ask for a longer --time", self.output)
        self.assertEqual(self.log.read_text(), "")

    def test_unknown_launcher(self):
        self.assertEqual(self.code(LAUNCHER="ssh"), 2)
        self.assertIn("srun or mpiexec", self.output)

    def signalled(self, step):
        """The exit code of a job that gets USR1 once its step is running."""
        job = self.start(step=step)
        deadline = time.monotonic() + 30
        while "ready" not in self.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        job.send_signal(signal.SIGUSR1)
        self.output, _ = job.communicate(timeout=60)
        return job.returncode

    def test_signal_reaches_the_step_whose_exit_code_counts(self):
        stop = f'trap \'echo told >>"{self.log}"; exit 75\' USR1; echo ready >>"{self.log}"; while true; do sleep 0.1; done'
        self.assertEqual(self.signalled(stop), 75)
        self.assertIn("told", self.log.read_text())
        self.assertIn("scontrol requeue 17", self.log.read_text())

    def test_step_that_finishes_in_spite_of_the_signal(self):
        finish = f'trap "" USR1; echo ready >>"{self.log}"; sleep 1; exit 0'
        self.assertEqual(self.signalled(finish), 0)
        self.assertNotIn("scontrol", self.log.read_text())

    def test_step_that_the_signal_kills_is_resumed(self):
        self.assertEqual(self.signalled(f'echo ready >>"{self.log}"; exec sleep 60'), 75)
        self.assertIn("scontrol requeue 17", self.log.read_text())


class Restarted(unittest.TestCase):
    """experiments/batch/restart.sh with a stand-in for mpiexec that ends with one code after the other."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = Path(self.folder.name) / "log"
        self.log.touch()
        self.out = Path(self.folder.name) / "out"

    def run_script(self, codes, step="", arguments=(), **environment):
        """The script's exit code when the launcher ends with `codes` in turn, the last one for ever."""
        write_command(self.folder.name, "launcher", f"""echo "$*" >>"{self.log}"
n=$(wc -l <"{self.log}"); codes=({' '.join(map(str, codes))}); last=$((${{#codes[@]}} - 1)); journal="{self.out}/journal.jsonl"
[[ -e $journal ]] || echo '{{"schema":"ringscale.journal"}}' >"$journal"
{step}
exit "${{codes[$((n - 1 < last ? n - 1 : last))]}}"
""")
        run = subprocess.run(["bash", str(RESTART), *arguments], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "LAUNCHER": f"{self.folder.name}/launcher", "OUTPUT": str(self.out),
                                  "RINGSCALE": "prog", "EXPERIMENT": "e.json", "RANKS": "3", **environment})
        self.output = run.stdout + run.stderr
        return run.returncode

    def calls(self):
        return self.log.read_text().splitlines()

    def test_finished_sweep_is_started_once(self):
        for code in [0, 2]:
            self.log.write_text("")
            self.assertEqual(self.run_script([code], arguments=["--threads", "1"]), code)
            self.assertEqual(len(self.calls()), 1)
        shutil.rmtree(self.out)
        self.log.write_text("")
        self.run_script([0], arguments=["--threads", "1"])
        self.assertEqual(self.calls(), [f"-n 3 prog sweep e.json --output {self.out} --on-failure shrink --threads 1"])

    def test_codes_that_are_worth_another_start(self):
        for code in [75, 124, 9, 137, 143]:
            with self.subTest(code):
                self.log.write_text("")
                shutil.rmtree(self.out, ignore_errors=True)
                self.assertEqual(self.run_script([code, 0]), 0)
                self.assertEqual(len(self.calls()), 2)
                self.assertIn(f"--on-failure shrink --resume --last-exit-code {code}", self.calls()[1])
        for code in [2, 126, 127]:
            with self.subTest(code):
                self.log.write_text("")
                self.assertEqual(self.run_script([code, 0]), code)
                self.assertEqual(len(self.calls()), 1)

    def test_invalid_results_are_a_verdict_and_a_crash_without_results_is_not(self):
        self.assertEqual(self.run_script([1, 0]), 0)
        self.log.write_text("")
        self.assertEqual(self.run_script([1, 0], step=f'touch "{self.out}/results.json"'), 1)
        self.assertEqual(len(self.calls()), 1)

    def test_last_words_reach_the_next_start(self):
        words = "ringscale watchdog: nothing within 3 s: waiting for a block, rank 1, step 2"
        self.assertEqual(self.run_script([124, 0], step=f'echo "{words}" >&2; echo banner >&2'), 0)
        self.assertIn(f"--last-words {words}", self.calls()[1])
        self.assertIn("banner", self.output, "the user sees what the launcher prints")

    def test_a_journal_is_gone_on_with(self):
        self.out.mkdir()
        (self.out / "journal.jsonl").write_text("{}\n")
        self.assertEqual(self.run_script([0]), 0)
        self.assertTrue(self.calls()[0].endswith("--resume"), self.calls())

    def test_starts_without_progress_are_bounded(self):
        self.assertEqual(self.run_script([75]), 75)
        self.assertEqual(len(self.calls()), 3)
        self.assertIn("giving up", self.output)
        self.log.write_text("")
        point = 'echo "{\\"point\\":$n}" >>"$journal"'
        self.assertEqual(self.run_script([75], step=point, MAX_RESTARTS="6"), 75)
        self.assertEqual(len(self.calls()), 7, "points were finished, so only MAX_RESTARTS ends it")
        failed = 'echo "{\\"failed\\":$n}" >>"$journal"'
        for policy, starts in [("retry", 3), ("shrink", 7)]:
            self.log.write_text("")
            self.assertEqual(self.run_script([124], step=failed, MAX_RESTARTS="6", ON_FAILURE=policy), 124)
            self.assertEqual(len(self.calls()), starts, policy)

    def test_wrong_ranks(self):
        for ranks in ["0", "-1", "many"]:
            self.assertEqual(self.run_script([0], RANKS=ranks), 2)
            self.assertIn("RANKS", self.output)
        self.assertEqual(self.calls(), [])


if __name__ == "__main__":
    unittest.main()
