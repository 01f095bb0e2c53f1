"""Completion for bash, zsh and fish, written from the table of commands.

Names of jobs are asked of `grist completion jobs` when they are wanted. They are foreign text: no script hands them to
its shell to expand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gristmill.supervisor.core.commands import Argument, Option, Verb, wants

_BASH_HEAD = """\
# Completion of grist for bash: eval "$(grist completion bash)"
_grist_jobs() {
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* ]] && COMPREPLY+=("$(printf %q "$word")")
    done < <(command grist completion jobs 2>/dev/null)
}
_grist_words() {
    local word
    for word in "${@:2}"; do
        [[ $word == "$1"* ]] && COMPREPLY+=("$word")
    done
}
_grist_paths() {
    local word
    compopt -o filenames 2>/dev/null
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen "$2" -- "$1")
}
_grist() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} verb=
    COMPREPLY=()
    ((COMP_CWORD > 1)) && verb=${COMP_WORDS[1]}
    case $verb in
"""


def bash(verbs: Sequence[Verb]) -> str:
    """A script to be sourced."""
    names = " ".join(one.name for one in verbs)
    lines = [_BASH_HEAD, f"    '') _grist_words \"$current\" --help --version {names} ;;\n"]
    for verb in verbs:
        lines.append(f"    {verb.name})\n        case $before in\n")
        for option in verb.options:
            if option.value:
                action = _bash(wants(option.value, option.choices), option.choices)
                lines.append(f"        {'|'.join(option.flags)}) {action or ':'}; return ;;\n")
        flags = " ".join(flag for option in verb.options for flag in option.flags)
        lines.append("        esac\n        if [[ $current == -* ]]; then\n")
        lines.append(f"            _grist_words \"$current\" {flags}\n")
        if action := _positional(verb, _bash):
            lines.append(f"        else\n            {action}\n")
        lines.append("        fi ;;\n")
    return "".join(lines) + "    esac\n}\ncomplete -F _grist grist\n"


def _positional(verb: Verb, spell: Callable[[str, tuple[str, ...]], str]) -> str:
    """What is offered where no option is: of the arguments the first for which anything can be."""
    for one in verb.arguments:
        if action := spell(wants(one.name, one.choices), one.choices):
            return action
    return ""


def _bash(kind: str, choices: tuple[str, ...]) -> str:
    if kind == "words":
        return f"_grist_words \"$current\" {' '.join(choices)}"
    return {"jobs": '_grist_jobs "$current"', "folders": '_grist_paths "$current" -d',
            "files": '_grist_paths "$current" -f'}.get(kind, "")  # fmt: skip


_ZSH_HEAD = """\
#compdef grist
# Completion of grist for zsh: grist completion zsh > a folder of fpath, as _grist
_grist_jobs() {
    local -a found
    found=("${(@f)$(command grist completion jobs 2>/dev/null)}")
    compadd -a found
}
_grist() {
    local -a verbs
    if (( CURRENT == 2 )); then
        verbs=(
"""


_ZSH_MIDDLE = """\
        )
        _describe -t verbs verb verbs
        _arguments '--help' '--version'
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
"""


def zsh(verbs: Sequence[Verb]) -> str:
    """A function for a folder of `fpath`."""
    lines = [_ZSH_HEAD, *(f"            {_quoted(f'{one.name}:{one.summary}')}\n" for one in verbs)]
    lines.append(_ZSH_MIDDLE)
    for verb in verbs:
        specs = [spec for option in verb.options for spec in _zsh_option(option)]
        specs += [_quoted(f"*:{_plain(one.name)}:{_zsh(one.name, one.choices)}") for one in _offered(verb)]
        lines.append(f"    {verb.name}) _arguments {' '.join(specs)} ;;\n")
    return "".join(lines) + "    esac\n}\n_grist \"$@\"\n"


def _offered(verb: Verb) -> list[Argument]:
    found = [one for one in verb.arguments if wants(one.name, one.choices) != "nothing"]
    return (found or list(verb.arguments))[:1]


def _zsh_option(option: Option) -> list[str]:
    value = f":{_plain(option.value)}:{_zsh(option.value, option.choices)}" if option.value else ""
    text = option.help.replace("[", "(").replace("]", ")").replace(":", "\\:")
    return [_quoted(f"*{flag}[{text}]{value}") for flag in option.flags]


def _zsh(name: str, choices: tuple[str, ...]) -> str:
    kind = wants(name, choices)
    if kind == "words":
        return f"({' '.join(choices)})"
    return {"jobs": "_grist_jobs", "folders": "_files -/", "files": "_files"}.get(kind, " ")


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in name.lower()).strip("-") or "value"


def fish(verbs: Sequence[Verb]) -> str:
    """A file for ~/.config/fish/completions."""
    lines = [
        "# Completion of grist for fish: grist completion fish > ~/.config/fish/completions/grist.fish\n",
        "function __grist_jobs\n    command grist completion jobs 2>/dev/null\nend\n",
        "complete -c grist -f\n",
        "complete -c grist -n __fish_use_subcommand -l version -d 'show the version'\n",
    ]
    first = "complete -c grist -n __fish_use_subcommand"
    lines += [f"{first} -a {verb.name} -d {_fished(verb.summary)}\n" for verb in verbs]
    for verb in verbs:
        here = f"complete -c grist -n '__fish_seen_subcommand_from {verb.name}'"
        for option in verb.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            value = f" -r{_fish(wants(option.value, option.choices), option.choices)}" if option.value else ""
            lines.append(f"{here} {flags}{value} -d {_fished(option.help)}\n")
        offered = (_fish(wants(one.name, one.choices), one.choices) for one in _offered(verb))
        lines += [f"{here}{action}\n" for action in offered if action]
    return "".join(lines)


def _fish(kind: str, choices: tuple[str, ...]) -> str:
    if kind == "words":
        return f" -a '{' '.join(choices)}'"
    folders = " -a '(__fish_complete_directories)'"
    return {"jobs": " -a '(__grist_jobs)'", "folders": folders, "files": " -F"}.get(kind, "")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fished(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
"""What writes the completion of each shell."""
