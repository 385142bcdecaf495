"""`calibar`: commands are loaded when they are called, so that help is instant."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress

import click

from calibar import __version__
from calibar.errors import CalibarError

_COMMANDS: dict[str, tuple[str, ...]] = {
    "open": ("calibar.cli.open", "From an address or transaction to where its value rests now."),
    "fetch": ("calibar.cli.fetch", "Fetch from servers what REFs name, into a case."),
    "ingest": ("calibar.cli.ingest", "Read blocks into a ledger."),
    "ledger": ("calibar.cli.ledger", "What a ledger holds, and whether it is sound."),
    "trace": ("calibar.cli.trace", "Follow coins and say where the value rests now."),
    "watch": ("calibar.cli.watch", "Tell when value that a trail holds moves."),
    "plan": ("calibar.cli.plan", "Fetch over an air gap: questions out, answers in."),
    "records": ("calibar.cli.records", "Statements of exchanges and banks: read, kept, checked, matched."),
    "extract": ("calibar.cli.extract", "Find addresses, hashes, keys and accounts in what people hand in."),
    "link": ("calibar.cli.link", "Assert that value given here came back there."),
    "transfers": ("calibar.cli.accounts", "What an address sent and received, with flags.", "transfers"),
    "holdings": ("calibar.cli.accounts", "What an address has of each asset at any height.", "holdings"),
    "demo": ("calibar.cli.demo", "Make a small chain with a theft in it and trace it."),
}


class _Lazy(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, *name = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), *name or ("command",))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text, *_) in _COMMANDS.items()])


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="calibar", message="%(prog)s %(version)s")
def calibar() -> None:
    """Calíbar: follow the money trail of crypto-assets, exact to the unit.

    Exit codes: 0 done, 1 the answer is no (damage found), 2 the question was wrong.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every refusal is one line on standard error."""
    try:
        code = calibar.main(arguments, prog_name="calibar", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except CalibarError as error:
        _fail(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        sys.exit(2)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "calibar"
        _fail(f"{error.format_message()} See `{path} --help`.", 2)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; what was committed is kept", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        where = error.filename if error.filename is not None else "standard output"
        _fail(f"cannot use {where}: {error.strerror or error}; name another", 2)


def _fail(message: str, code: int) -> None:
    line = " ".join(message.split()).encode("utf-8", "backslashreplace").decode()
    with suppress(OSError):  # what standard output could not take is lost, not raised again at exit
        sys.stdout.flush()
    click.echo(f"calibar: {line}", err=True)
    sys.exit(code)
