"""Scripts with #SBATCH lines: what each option amounts to, what is said of it, and what tasks see of Slurm.

The table has the features of some forty scripts of public repositories, each in as few lines as show it.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.supervisor.core import items, jobfile, launch, slurmenv, slurmvalues
from gristmill.supervisor.core.errors import JobFileError
from gristmill.supervisor.core.findings import Fault
from gristmill.supervisor.core.spec import Axis, Slurm, Spec

GIB = 1 << 30


def read(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def parse(text: str, file: str = "fit.sh") -> Spec:
    return jobfile.parse(text, file, cwd="/lab", home="/home/ann", read=read)


def script(*lines: str) -> Spec:
    return parse("\n".join(("#!/bin/bash", *(f"#SBATCH {line}" for line in lines), "./run", "")))


def complaints(text: str) -> list[str]:
    with pytest.raises(JobFileError) as caught:
        parse(text)
    return str(caught.value).split("\n")


def slurm(spec: Spec) -> Slurm:
    assert spec.slurm is not None
    return spec.slurm


def variables(spec: Spec, number: int = 0, attempt: int = 1) -> dict[str, str]:
    start = launch.launch(spec, job=7, number=number, span=items.span(spec.items, number), attempt=attempt, script="/s")
    return {name: value for name, value in {**launch.shared(spec, 7), **start.env}.items() if name[:6] == "SLURM_"}


def fates(spec: Spec) -> dict[str, str]:
    return {remark.option.partition("=")[0]: remark.fate for remark in slurm(spec).remarks}


def ids(spec: Spec) -> list[Any]:
    return [items.params(spec.items, index)["array"] for index in range(spec.items.total)]


# ── by feature ────────────────────────────────────────────────────────────────────────────────────────────────────────

FEATURES: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("long option, value behind =", ("--job-name=train_net",), {"name": "train_net"}),
    ("long option, value apart", ("--job-name train_net",), {"name": "train_net"}),
    ("short option, value apart", ("-J N32768",), {"name": "N32768"}),
    ("short option, value joined", ("-c1",), {"resources.cpus": 1}),
    ("value in double quotes", ('-J "loops 5k"',), {"name": "loops 5k"}),
    ("value in single quotes", ("-J 'a b' --time=1",), {"name": "a b", "timeout_s": 60.0}),
    ("comment behind the value", ("-c 6  # Number of cores",), {"resources.cpus": 6}),
    ("several options a line", ("--time=7-00:00:00 -c 3",), {"timeout_s": 604800.0, "resources.cpus": 3}),
    ("several blanks", ("  --mem=50G",), {"resources.memory_bytes": 50 * GIB}),
    ("an option shortened", ("--cpus-per-t=4",), {"resources.cpus": 4}),
    ("a later one counts", ("--mem=1G", "--mem=2G"), {"resources.memory_bytes": 2 * GIB}),
    ("a name like a file of output", ("--job-name=JetsTrain%j",), {"name": "JetsTrain%j"}),
    ("a name with a slash", ("-J a/b",), {"name": "a_b"}),
    ("a name that is a number", ("-J 12",), {"name": "job-12"}),
    ("time in minutes", ("--time=30",), {"timeout_s": 1800.0}),
    ("time in minutes and seconds", ("-t 10:30",), {"timeout_s": 630.0}),
    ("time in hours", ("--time=168:0:00",), {"timeout_s": 604800.0}),
    ("time in days and hours", ("--time=0-3",), {"timeout_s": 10800.0}),
    ("time in days, hours, minutes", ("-t 1-12:00",), {"timeout_s": 129600.0}),
    ("time in full", ("-t 03-00:00:00",), {"timeout_s": 259200.0}),
    ("no end", ("--time=UNLIMITED",), {"timeout_s": None}),
    ("memory in MB", ("--mem=16000",), {"resources.memory_bytes": 16000 << 20}),
    ("memory in small letters", ("--mem=64g",), {"resources.memory_bytes": 64 * GIB}),
    ("memory with B", ("--mem 40GB",), {"resources.memory_bytes": 40 * GIB}),
    ("memory with b", ("--mem=75Gb",), {"resources.memory_bytes": 75 * GIB}),
    ("memory for each core", ("--mem-per-cpu=8G", "--cpus-per-task=16"),
     {"resources.memory_bytes": 128 * GIB, "resources.cpus": 16}),
    ("cores by tasks of Slurm's", ("--nodes=1", "--ntasks=4"), {"resources.cpus": 4}),
    ("both", ("-N 1", "--tasks-per-node=2", "-c 3"), {"resources.cpus": 6}),
    ("one task", ("--ntasks=1",), {"resources.cpus": None}),
    ("an array", ("--array=1-64",), {"items.total": 64, "items.axes": (Axis(name="array", range=(1, 65, 1)),)}),
    ("an array of one", ("--array=4-4",), {"items.axes": (Axis(name="array", values=(4,)),)}),
    ("ids", ("--array=8,18,28      # 3 seeds",), {"items.axes": (Axis(name="array", values=(8, 18, 28)),)}),
    ("steps", ("--array=0-20:4",), {"items.axes": (Axis(name="array", range=(0, 21, 4)),)}),
    ("ids and ranges", ("-a 1,3-5,9",), {"items.axes": (Axis(name="array", values=(1, 3, 4, 5, 9)),)}),
    ("so many at once", ("--array=0-359%100",), {"items.total": 360, "limits.workers": 100}),
    ("another folder", ("--chdir=/data/run",), {"cwd": "/data/run"}),
    ("a folder beside", ("-D ./",), {"cwd": "/lab"}),
    ("the older word for it", ("--workdir=sub",), {"cwd": "/lab/sub"}),
    ("after jobs", ("--dependency=afterok:24592",), {"gate.after": (24592,)}),
    ("after several", ("-d afterok:4:5,afterany:6,afternotok:7",),
     {"gate.after": (4, 5), "gate.after_any": (6,), "gate.after_failed": (7,)}),
    ("singleton", ("--dependency=singleton",), {"gate.singleton": True}),
    ("variables", ("--export=ALL,SEED=3,FMT={x}",), {"env": {"SEED": "3", "FMT": "{{x}}"}}),
    ("the environment", ("--export=ALL",), {"env": {}}),
    ("run again", ("--requeue",), {"on_reboot": "rerun"}),
    ("not run again", ("--no-requeue",), {"on_reboot": "hold"}),
    ("niceness", ("--nice=50",), {"priority": -50}),
    ("niceness, how much left open", ("--nice",), {"priority": -100}),
    ("begin in a while", ("--begin=now+12hours",), {"gate.start": "43200s"}),
    ("begin at a time", ("-b 22:00",), {"gate.start": "22:00"}),
    ("begin tomorrow", ("--begin=tomorrow",), {"gate.start": "00:00"}),
    ("begin today", ("--begin=today",), {"gate.start": ""}),
    ("begin in an hour", ("--begin=now+1hour",), {"gate.start": "3600s"}),
    ("begin in seconds", ("--begin=now+90",), {"gate.start": "90s"}),
    ("begin in the afternoon", ("--begin=4:30PM",), {"gate.start": "16:30"}),
    ("begin at midnight by the clock", ("--begin='12:05 am'",), {"gate.start": "00:05"}),
    ("begin with tea", ("--begin=teatime",), {"gate.start": "16:00"}),
    ("begin on the next Christmas Eve", ("--begin=12/24",), {"gate.start": "0 0 24 12 *"}),
    ("begin then at a time", ("--begin=12/24-08:00",), {"gate.start": "0 8 24 12 *"}),
    ("begin on a day as America writes it", ("--begin=12.24.27",), {"gate.start": "2027-12-24 00:00"}),
    ("begin on a day of six digits", ("--begin=122427",), {"gate.start": "2027-12-24 00:00"}),
    ("none of the environment", ("--export=NONE",), {"slurm.keeps": (), "env": {}}),
    ("nil of it", ("--export=NIL",), {"slurm.keeps": ()}),
    ("some of it", ("--export=PATH,R_LIBS,A=1",), {"slurm.keeps": ("PATH", "R_LIBS"), "env": {"A": "1"}}),
    ("all of it and more", ("--export=ALL,A=1",), {"slurm.keeps": None, "env": {"A": "1"}}),
    ("begin on a day", ("--begin=2026-12-24T08:00:00",), {"gate.start": "2026-12-24 08:00"}),
    ("standard error apart", ("-o a.%j.out", "-e a.%j.err"), {"stderr": "own", "slurm.output": "a.%j.out"}),
    ("both into one", ("-o a.%j.out", "-e a.%j.out"), {"stderr": "log", "slurm.error": ""}),
    ("append", ("--open-mode=append", "-o all.out"), {"slurm.append": True}),
    ("no GPU", ("--gres=gpu:0",), {"resources.gpus": None}),
    ("GPUs", ("--gres=gpu:2",), {"resources.gpus": 2}),
    ("GPUs of a make", ("--gres=gpu:A4000:1",), {"resources.gpus": 1}),
    ("a GPU, how many left open", ("--gres=gpu",), {"resources.gpus": 1}),
    ("GPUs, the short way", ("-G 1",), {"resources.gpus": 1}),
    ("GPUs of a make, the short way", ("--gpus-per-node=v100:4",), {"resources.gpus": 4}),
    ("memory and cores for each GPU", ("--gres gpu:rtx:2", "--mem-per-gpu 40G", "--cpus-per-gpu=3"),
     {"resources.gpus": 2, "resources.memory_bytes": 80 * GIB, "resources.cpus": 6}),
    ("a slice of a GPU", ("--gres gpu:mig:1",), {"resources.gpus": 1}),
    ("a warning before the end", ("--signal=B:TERM@300",), {"grace_s": 300.0}),
    ("a comment right behind the value", ("-o %j.%N.out# STDOUT",), {"slurm.output": "%j.%N.out"}),
    ("a comment within quotes is none", ('-J "a #1"',), {"name": "a #1"}),
    ("the environment, in small letters", ("--export=all",), {"env": {}}),
    ("no log", ("-o /dev/null", "-e /dev/null"), {"slurm.output": "/dev/null"}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), [row[1:] for row in FEATURES], ids=[row[0] for row in FEATURES])
def test_an_option_is_honoured(lines: tuple[str, ...], expected: dict[str, Any]) -> None:
    spec = script(*lines)
    for path, value in expected.items():
        found: Any = spec
        for part in path.split("."):
            found = getattr(found, part)
        assert found == value, path
    said = {remark.fate for remark in slurm(spec).remarks}
    assert said <= {"honoured", "overridden"}


@pytest.mark.parametrize(
    "line",
    ["-p hw-grp,share", "-A hw-grp", "--account=x", "--qos=long", "-M snowy", "--mail-type=END,FAIL",
     "--mail-user a@b.edu", "--exclude=gnode13", "--nodelist=node2", '--constraint="a|b"', "--exclusive",
     "--overcommit", "--share", "--verbose", "-vv", "--hint=nomultithread", "--gres=shard:1", "--gres=tmp:50G",
     "--cores-per-socket=12", "--signal=B:USR1@60", "--licenses=cfs,SCRATCH", "--cpu_bind=cores",
     "--wait-all-nodes=1", "--wait", "--get-user-env=L", "--comment=x", "--mem-per-gpu=4G",
     "--mem=0", "--reservation=x", "--x11", "--x11=first", "--bind-net=ib0", "--bind-net ib0", "--sshare-home",
     "--deadline=now"],
)  # fmt: skip
def test_what_one_machine_has_no_answer_to_is_said_and_passed_over(line: str) -> None:
    spec = script(line)
    (remark,) = slurm(spec).remarks
    assert (remark.fate, bool(remark.words), remark.line) == ("not honoured", True, 2)
    assert msgspec.structs.replace(spec, slurm=None) == script(), "nothing else comes of it"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--time=soon", "fit.sh:2:9: --time=soon: no time as Slurm writes it"),
        ("--mem=lots", "no size as Slurm writes it"),
        ("--array=5-1", '"5-1" holds no id'),
        ("--array=1-x", '"1-x" is no id and no range'),
        ("--array=1-9%", "is no number of tasks"),
        ("--nodes=16", "there is one machine – write --nodes=1"),
        ("-N 2-4", "there is one machine"),
        ("--dependency=aftercorr:5", '"aftercorr" can\'t be kept here'),
        ("--dependency=afterok:$ID", "names no job by its number"),
        ("--dependency=afterok:1?afterok:2", "any of several suffices"),
        ("--hold", "can't be kept here"),
        ("--container-image=x.sqsh", "there are no containers here"),
        ('-J "open', "a quote that is not closed"),
        ("--input=x.txt", "standard input of a script is empty here"),
        ("--output=%q.out", "%q stands for nothing"),
        ("--begin=someday", "no time to begin at that is read here"),
        ("--begin=13/40", "no time to begin at that is read here"),
        ("--parttion=x", "did you mean --partition?"),
        ("--tme=5", "sbatch knows no --tme – did you mean --time?"),
        ("-z", "sbatch knows no -z"),
        ("--time", "--time has no value"),
        ("--hold=yes", "--hold takes no value"),
        ("Number of cores", '"Number" is no option of sbatch'),
        ("--cpus-per-task=0", "is no number of 1 or more"),
        ("--export=A-B=1", "can't be a variable's name"),
        ("-J ''", "an empty name"),
    ],
)
def test_what_would_run_otherwise_than_it_says_is_refused(line: str, expected: str) -> None:
    found = complaints(f"#!/bin/bash\n#SBATCH {line}\n./run\n")
    assert len(found) == 1
    assert expected in found[0]


def test_a_bad_value_is_shown_at_its_place() -> None:
    assert complaints("#!/bin/sh\n#\n#SBATCH -c 2 --chdir=$HOME\ntrue\n")[0].startswith("fit.sh:3:14: cwd: ")


def test_lines_that_sbatch_passes_over_are_told_of() -> None:
    text = "#!/bin/sh\n##SBATCH -p normal\n# SBATCH --time=10\n## /SBATCH -o x\n#SBATCH -c 2\ncd x\n#SBATCH --mem=9G\n"
    spec = parse(text)
    assert (spec.timeout_s, spec.resources.memory_bytes, spec.resources.cpus) == (None, None, 2)
    assert {remark.line: remark.fate for remark in slurm(spec).remarks} == {3: "not read", 5: "honoured", 7: "not read"}


def test_a_grist_line_wins() -> None:
    spec = parse("#!/bin/sh\n#SBATCH --time=10 -c 4 --mem=1G --array=0-9\n#GRIST timeout = '2h'\n"
                 "#GRIST resources.cpus = 2\n#GRIST items.total = 3\ntrue\n")  # fmt: skip
    assert (spec.timeout_s, spec.resources.cpus, spec.resources.memory_bytes) == (7200.0, 2, GIB)
    assert spec.items.total == 3
    assert fates(spec) == {
        "--time": "overridden", "--cpus-per-task": "overridden", "--mem": "honoured", "--array": "overridden",
    }  # fmt: skip
    assert variables(spec, 2)["SLURM_ARRAY_TASK_ID"] == "2"


def test_options_that_belong_together_do_not_override_each_other() -> None:
    spec = script("--ntasks=2", "--cpus-per-task=3", "--mem-per-cpu=1G")
    assert (spec.resources.cpus, set(fates(spec).values())) == (6, {"honoured"})
    other = script("--gres=gpu:1", "-c 8", "--cpus-per-gpu=3")
    assert (other.resources.cpus, fates(other)["--cpus-per-gpu"]) == (8, "overridden")


def test_commands_of_clusters_are_told_of() -> None:
    spec = parse("#!/bin/sh\n#SBATCH -c 2\nmodule load R\n# srun x\nx=$(squeue -u me)\ntime srun ./a; echo sbatch\n")
    said = {remark.option: (remark.line, remark.fate) for remark in slurm(spec).remarks[1:]}
    assert said == {"module": (3, "not honoured"), "squeue": (5, "not honoured"), "srun": (6, "honoured")}
    assert slurm(spec).stand_ins


def test_a_script_without_such_lines_knows_no_slurm() -> None:
    spec = parse("#!/bin/sh\n#GRIST items.total = 2\n# about #SBATCH\ntrue\n")
    assert spec.slurm is None
    assert variables(spec, 1) == {
        "SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "1", "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "1",
        "SLURM_ARRAY_TASK_STEP": "1",
    }  # fmt: skip


@pytest.mark.parametrize("file", ["fit.slurm", "fit.sbatch"])
def test_the_suffixes_of_slurm_are_scripts(file: str) -> None:
    assert parse("#!/bin/bash\n#SBATCH -c 2\n", file).command == ("/bin/bash", "{script}")


# ── what tasks see ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_variables_of_an_array() -> None:
    spec = script("--array=10-30:10%2", "-c 3", "-n 2", "-J fit", "--mem=2G", "-p gpu")
    found = variables(spec, 1)
    assert found == {
        "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "20", "SLURM_ARRAY_TASK_MIN": "10",
        "SLURM_ARRAY_TASK_MAX": "30", "SLURM_ARRAY_TASK_STEP": "10", "SLURM_ARRAY_TASK_COUNT": "3",
        "SLURM_JOB_ID": "7000000001", "SLURM_JOB_NAME": "fit", "SLURM_SUBMIT_DIR": "/lab", "SLURM_NTASKS": "2",
        "SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "6", "SLURM_MEM_PER_NODE": "2048",
        "SLURM_JOB_PARTITION": "gpu", "SLURM_JOB_NUM_NODES": "1", "SLURM_NNODES": "1", "SLURM_NODEID": "0",
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
    }  # fmt: skip
    assert len({variables(spec, number)["SLURM_JOB_ID"] for number in range(3)}) == 3
    assert variables(spec, 1, attempt=3)["SLURM_RESTART_COUNT"] == "2"


def test_no_array_no_id_of_one() -> None:
    found = variables(script("-c 1"))
    assert found["SLURM_JOB_ID"] == "7"
    assert not [name for name in found if "ARRAY" in name]


def test_older_names_where_the_script_asks_for_them() -> None:
    assert "SLURM_JOBID" not in variables(script("-n 1"))
    found = variables(parse("#!/bin/sh\n#SBATCH -n 4\necho $SLURM_JOBID $SLURM_NPROCS\n"))
    assert (found["SLURM_JOBID"], found["SLURM_NPROCS"]) == ("7", "4")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("%x_%A_%a.out", "fit_7_20.out"), ("logs/%j.log", "logs/7000000001.log"), ("%4a-%u@%N", "0020-ann@box"),
     ("100%%.out", "100%.out"), ("a\\%j", "a%j"), ("/dev/null", "/dev/null"), ("%b", "0")],
)  # fmt: skip
def test_names_of_files(pattern: str, expected: str) -> None:
    spec = script("--array=10-30:10", "-J fit", f"-o '{pattern}'")
    assert slurmenv.files(spec, 7, 1, {"u": "ann", "N": "box"}) == (expected, "")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.integers(1, 7)), min_size=1, max_size=5))
def test_an_array_has_the_ids_that_are_written(runs: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}:{step}" for first, more, step in runs)
    assert ids(script(f"--array={text}")) == sorted(
        {one for first, more, step in runs for one in range(first, first + more + 1, step)}
    )


@given(st.text(max_size=30))
def test_any_value_is_read_or_refused(text: str) -> None:
    for reader in (slurmvalues.seconds, slurmvalues.size, slurmvalues.array, slurmvalues.begin, slurmvalues.gpus,
                   slurmvalues.dependency, slurmvalues.export, slurmvalues.pattern, slurmvalues.name):  # fmt: skip
        try:
            reader(text)
        except Fault:
            pass
