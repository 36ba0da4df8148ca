# SPDX-License-Identifier: Apache-2.0
"""Commands that the pages print: their flags are the program's, and figures beside them are what it answers."""

import re
import shlex
import unittest

from program import ROOT, CommandLineTest, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VERBS = ("simulate", "plan", "sweep", "validate --published")
H100 = str(ROOT / "experiments" / "machines" / "h100_ndr.json")
# What stands for a name of the reader's own.
NAMES = {"FILE": H100, "DIR": "DIR", "FOLDER": "FOLDER", "machines/here.json": H100, "machines/mycluster.json": H100}


def commands_of(text):
    """Arguments of every command of these verbs that stands on a line of its own: without the comment or explanation behind
    it, and without --json or a redirection, which a dry run has no document for."""
    found = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        match = re.match(r"\s*(?:\$ )?(?:mpiexec -n \d+ )?ringscale ((?:%s)\b.*)" % "|".join(VERBS), line)
        if match and "..." not in match[1]:
            words = shlex.split(re.split(r"\s{2,}| > ", match[1])[0], comments=True)
            found.append([NAMES.get(word, word) for word in words if word != "--json"])
    return found


def figures(text):
    return [float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


class Pages(CommandLineTest):
    def test_flags_of_printed_commands_are_accepted(self):
        commands = [(page.name, words) for page in PAGES for words in commands_of(page.read_text(encoding="utf-8"))]
        self.assertGreater(len(commands), 20)
        for page, words in commands:
            words = [str(ROOT / word) if word.startswith("experiments/") else word for word in words]
            if words[0] == "validate":
                words = [word for word in words if word != H100]  # FILE is a table there; the shipped ones do
            with self.subTest(page=page, command=" ".join(words)):
                result = run([*words, "--dry-run"], cwd=self.folder)
                self.assertEqual(result.returncode, 0, result.stderr)

    def test_a_flag_that_is_none_is_noticed(self):
        text = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8").replace("--restart-time", "--restart-seconds")
        words = commands_of(text)[0]
        self.assertIn("--restart-seconds", words)
        self.assertEqual(run([*words, "--dry-run"], cwd=ROOT).returncode, 2)

    def test_sizing_prints_what_its_page_shows(self):
        text = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
        command, shown = re.search(r"^    \$ ringscale (plan .*)\n((?:    .*\n)+)", text, re.MULTILINE).groups()
        result = run(shlex.split(command), cwd=ROOT)
        self.assertEqual(result.returncode, 0, result.stderr)
        for line in shown.splitlines():
            self.assertIn(line.strip(), result.stdout)

    def test_failures_come_to_what_their_page_says(self):
        text = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
        words = commands_of(text)[0]
        row = self.document([str(ROOT / word) if word.startswith("experiments/") else word for word in words])["rows"][0]
        said = figures(re.search(r"^prints (.*? runs)", text, re.MULTILINE | re.DOTALL)[1])
        percentiles = row["time_with_failures_s_percentiles"]
        interval = 1.8e8 / 16384
        answers = [row["failures_expected"], 100000 * row["time_s"], interval, row["checkpoint_interval_s"],
                   row["time_with_failures_s"], percentiles["p5"], percentiles["p95"], 90, row["failure_trials"]]
        self.assertEqual(len(said), len(answers))
        for stated, found in zip(said, answers):
            self.assertLessEqual(abs(stated - found), 0.051 if stated < 100 else 0.51, (stated, found))
        # Five years between failures, no checkpoints: the same command with other flags.
        years = figures(re.search(r"expected to take ([\d.]+) years", text)[1])[0]
        other = {"--ring-size": "262144", "--passes": "183", "--device-mtbf": "157788000", "--checkpoint-interval": "none"}
        changed = [other.get(before, word) for before, word in zip([None, *words], words)]
        place = changed.index("--checkpoint-time")
        del changed[place:place + 2]
        row = self.document([str(ROOT / word) if word.startswith("experiments/") else word for word in changed])["rows"][0]
        self.assertLessEqual(abs(row["time_with_failures_s"] / (365.25 * 86400) - years), 0.5)


if __name__ == "__main__":
    unittest.main()
