"""What one may type, by verb: shown below `--help`, in the man page, and kept true by a test that parses each line.

A line is a command, and behind two spaces and `#` what it is for.
"""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "up": ("grist up", "grist up --examples  # with something to look at", "grist up ~/thesis/jobs --limit 8"),
    "daemon": ("grist daemon --quiet", "grist daemon --limit auto --record /tmp/trace.jsonl"),
    "tui": ("grist tui", "grist tui --read-only --theme terminal-16"),
    "web": ("grist web --read-only  # from elsewhere: ssh -L 8765:127.0.0.1:8765 SERVER",),
    "add": (
        "grist add -- python3 train.py --lr 0.1", "grist add --name merge --after sweep 'cat out/* > all.txt'",
        "grist add --edit  # a commented job, in your editor",
    ),
    "submit": ("grist submit sweep.toml", "grist submit --host login.cluster --jobs thesis/jobs sweep.toml"),
    "export": ("grist export sbatch sweep -o sweep.sbatch",),
    "check": ("grist check sweep.toml", "grist check --all sweep.toml"),
    "status": (
        "grist status", "grist status sweep --state failed", "grist status --watch",
        "grist status --json | jq '.jobs[].name'",
    ),
    "explain": ("grist explain  # why so many workers", "grist explain sweep", "grist explain 12/3"),
    "simulate": ("grist simulate --limit 16", "grist simulate --without sweep --faster train=2"),
    "log": ("grist log -f sweep/17", "grist log 12/3 -n 50"),
    "results": ("grist results sweep --csv", "grist results 12 --parquet -o out.parquet"),
    "wait": ("grist wait", "grist wait sweep --timeout 3600 && grist results sweep"),
    "cancel": ("grist cancel sweep", "grist cancel 12/3 12/4", "grist cancel --kill sweep"),
    "retry": ("grist retry sweep  # what did not end well", "grist retry --all 12", "grist retry 12/3"),
    "hold": ("grist hold sweep",),
    "release": ("grist release sweep",),
    "priority": (
        "grist priority 5 sweep", "grist priority +1 sweep", "grist priority =-5 sweep  # below 0",
    ),
    "pause": ("grist pause  # outlives the daemon; of one job: grist hold",),
    "start": ("grist start  # the daemon itself is started by grist up",),
    "events": ("grist events --follow --since 1h --only job | jq -r .state",),
    "metrics": ("grist metrics", "grist metrics --textfile /var/lib/node_exporter/gristmill-ann.prom --every 15s"),
    "who": ("grist who", "grist who --json"),
    "clean": ("grist clean --older 30d --dry-run", "grist clean sweep 12"),
    "remove": ("grist remove sweep 12",),
    "limit": ("grist limit", "grist limit 8", "grist limit auto"),
    "replay": ("grist replay /tmp/trace.jsonl",),
    "service": ("grist service install --linger", "grist service status", "grist service uninstall"),
    "doctor": ("grist doctor", "grist doctor --json"),
    "shutdown": ("grist shutdown  # tasks go on", "grist shutdown --drain"),
    "demo": ("grist demo",),
    "completion": (
        "eval \"$(grist completion bash)\"  # in ~/.bashrc",
        "grist completion zsh > ~/.zfunc/_grist  # with fpath+=~/.zfunc before compinit",
        "grist completion fish > ~/.config/fish/completions/grist.fish",
    ),
    "man": ("grist man | man -l -", "grist man > ~/.local/share/man/man1/grist.1  # then: man grist"),
}


def below(verb: str) -> str:
    """What stands at the end of a verb's help."""
    lines = EXAMPLES[verb]
    return "\n".join(["Examples:" if len(lines) > 1 else "Example:", *(f"  {line}" for line in lines)])
