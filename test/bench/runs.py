"""Runs of bench_train, kept: a run whose text lies there already, made by the same program, is not done again."""
import hashlib
import os
import re
import subprocess

NUMBER = r"([0-9.]+(?:e[-+]?\d+)?)"


class Failed(Exception):
    """A run that ended with an error; its text says which."""


class Runner:
    """directory holds one text per run, and one file of users' values where they are asked for."""

    def __init__(self, program, directory, threads=2, any_build=False):
        self.program = program
        self.directory = directory
        self.threads = threads
        self.any_build = any_build
        with open(program, "rb") as file:
            self.build = hashlib.md5(file.read()).hexdigest()
        os.makedirs(directory, exist_ok=True)

    def algorithms(self, task):
        text = subprocess.run([self.program, "-l"], check=True, capture_output=True, text=True).stdout
        return [name for name, of in (line.split("\t") for line in text.splitlines()) if of == task]

    def run(self, name, arguments, algorithm, train, options, values=False):
        """The run's text, and the path of its users' values."""
        path = os.path.join(self.directory, re.sub(r"[^\w=.,+-]+", "_", name))
        command = ["-t", str(self.threads), *arguments, *(["-u", path + ".values"] if values else []),
                   algorithm, train, *options.split()]
        head = f"# {self.build} {' '.join(command)}\n"
        if not self.is_kept(path, head):
            result = subprocess.run([self.program, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    check=False)
            text = result.stdout + ("" if result.returncode == 0 else f"failed with status {result.returncode}\n")
            with open(path + ".part", "w", encoding="utf-8") as file:
                file.write(head + text)
            os.replace(path + ".part", path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.rstrip().rpartition("\n")[2].startswith("failed with status"):
            said = [line.removeprefix("bench_train: ") for line in text.splitlines() if line.startswith("bench_train: ")]
            raise Failed(said[0] if said else text.splitlines()[-1])
        return text, path + ".values"

    def is_kept(self, path, head):
        try:
            with open(path, encoding="utf-8") as file:
                kept = file.readline()
        except FileNotFoundError:
            return False
        return kept == head or (self.any_build and kept.split(" ")[2:] == head.split(" ")[2:])


def seconds(text):
    return float(re.search(r"^\d+ epochs in " + NUMBER + " s", text, re.M).group(1))


def figures(text, reading="test"):
    """The metrics of the first line that starts with this reading, a regular expression."""
    line = re.search(f"^(?:{reading})(?=[ :,])(.*)$", text, re.M).group(1)
    return {name: float(value) for name, value in re.findall(r"([a-z_]\w*(?:@\d+)?) " + NUMBER, line)}


def epochs(text):
    """Per epoch: its number, loss, seconds, and validation value (None where there is none)."""
    pattern = r"^epoch +(\d+) +loss +([-\w.+]+) +" + NUMBER + r" s .*?(?:valid " + NUMBER + ")?$"
    return [(int(number), float(loss), float(took), float(valid) if valid else None)
            for number, loss, took, valid in re.findall(pattern, text, re.M)]


def make_split(script, directory, *arguments):
    """Writes a split's files once; False when its data is not there."""
    done = os.path.join(directory, "complete")
    if os.path.exists(done):
        return True
    here = os.path.dirname(os.path.abspath(__file__))
    status = subprocess.run([os.path.join(here, script), directory, *arguments], stdout=subprocess.DEVNULL, check=False).returncode
    if status == 77:
        return False
    if status != 0:
        raise SystemExit(f"{script} failed")
    with open(done, "w", encoding="utf-8"):
        return True
