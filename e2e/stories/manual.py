"""Manual pages and completion: read by `man`, mandoc and real shells, and complete."""

import re

from harness.command import run
from harness.story import eq, has, story, that

# The pages have no date, so that one program always writes the same pages.
NO_DATE = re.compile(r"missing date, using \"\": TH$")


def commands(toji, *words):
    """All commands that --help names, with those below them, as words."""
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", run(toji, *words, "--help").out, re.MULTILINE)
    names = re.findall(r"^  ([a-z-]+) ", listed.group(1), re.MULTILINE) if listed else []
    below = [c for name in names if name != "help" for c in commands(toji, *words, name)]
    return [words, *below]


def sections(page):
    """The headings of a page, as `man` shows it."""
    return re.findall(r"^([A-Z][A-Z ]+)$", page, re.MULTILINE)


@story(own=True)
def pages(own):
    """Each command has a page with what its --help says; mandoc and man have nothing to complain of in any page."""
    toji, place = own.toji, own.dir / "man"
    run(toji, "manual", place)
    known = commands(toji)
    that(len(known) > 40, f"few commands: {known}")
    wanted = {"-".join(("toji", *words)) for words in known}
    found = {p.stem for p in (place / "man1").iterdir()}
    eq(sorted(wanted - found), [], "commands without a page")
    eq(sorted(found - wanted), ["toji-watch-tasks"], "pages of no command")
    files = sorted(place.glob("man*/*"))
    said = run("mandoc", "-Tlint", "-Wwarning", *files, code=None)
    eq([line for line in (said.out + said.err).splitlines() if not NO_DATE.search(line)], [], "what mandoc warns of")
    for path in files:
        said = run("man", "--warnings", "-l", path, env={"MANPAGER": "cat", "MANWIDTH": "80"})
        eq(said.err, "", f"what man says of {path}")
        lines = [line for line in said.out.splitlines() if "⟨" in line or "`" in line]
        eq(lines, [], f"marks that nobody should see in {path}")
        least = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"]
        least = least if path.suffix == ".1" else ["NAME", "DESCRIPTION", "SEE ALSO"]
        eq([name for name in least if name not in sections(said.out)], [], f"sections that {path} lacks")
        told = next((run(toji, *words, "--help").out for words in known if "-".join(("toji", *words)) == path.stem), "")
        has(said.out, *re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", told, re.MULTILINE))
    # Pages are named to each other as they are called.
    text = "".join(path.read_text() for path in files)
    named = set(re.findall(r"\\fB([a-z\\.-]+)\\fR\((\d)\)", text))
    lost = [n for n in named if not (place / f"man{n[1]}" / (n[0].replace("\\-", "-") + "." + n[1])).is_file()]
    eq(lost, [], "pages that are referred to and are not there")
    that(len(named) > 30, f"few references: {named}")
    has(run("man", "-M", place, "toji-hub.conf", env={"MANPAGER": "cat"}).out, "DBConnectionString", "OPTIONS OF KOJI, SECTION [hub]")
    has(run("man", "-M", place, "toji-repo-check", env={"MANPAGER": "cat"}).out, "toji-repo-check", "repomd.xml.asc must be there")


BASH = """source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}
[ "{last}" = '' ] && {{ COMP_WORDS+=(''); COMP_CWORD=$((COMP_CWORD + 1)); }}
complete -p toji >&2 || exit 1
_toji toji "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

# What a user sees after the tab key, from a terminal of the shell's own.
ZSH = """zmodload zsh/zpty
zpty shell 'zsh -f -i'
zpty -w shell "PS1=; fpath=({dir} \\$fpath); autoload -Uz compinit; compinit -u -d {dir}/dump; LISTMAX=1000; zstyle ':completion:*' list-prompt ''; echo READ'Y'"
while zpty -r shell line '*READY*'; do break; done
zpty -w -n shell "toji {line}"$'\\t\\t'
sleep_until=$((SECONDS + 20)) text=
while (( SECONDS < sleep_until )); do
  zpty -r -t shell part && text+=$part
  [[ $text == *watch-logs*--* && $text == *watch-task*--* ]] && break
done
print -r -- $text
zpty -d shell
"""


@story(own=True)
def completion(own):
    """bash, zsh and fish read their scripts and complete commands, options and values."""
    own.dir.mkdir(parents=True, exist_ok=True)
    scripts = {"bash": own.dir / "toji.bash", "zsh": own.dir / "_toji", "fish": own.dir / "toji.fish"}
    for shell, path in scripts.items():
        path.write_text(run(own.toji, "completion", shell).out)
        run(shell, "-n", path)
    asked = [("wat", ["watch-task", "watch-logs"]), ("repo ch", ["check"]), ("repo check --pack", ["--packages"]), ("repo check --packages ", ["sizes"])]
    for line, wanted in asked:
        last = line.rsplit(" ", 1)[-1]
        script = BASH.format(script=scripts["bash"], words=f"toji {line}", last=last)
        eq([w for w in wanted if w not in run("bash", "--norc", "-c", script).out.split()], [], f"what bash lacks after toji {line}")
        found = run("fish", "--no-config", "-c", f"source {scripts['fish']}; complete -C 'toji {line}'", env={"HOME": str(own.dir)}).out
        eq([w for w in wanted if w not in re.findall(r"^\S+", found, re.MULTILINE)], [], f"what fish lacks after toji {line}")
    # Two ways to go on: zsh lists them.
    found = run("zsh", "-f", "-c", ZSH.format(dir=own.dir, line="watch-"), env={"TERM": "dumb"}).out
    has(found, "watch-task", "watch-logs", "Show the logs of tasks while they are written")
