"""The options that every command takes."""

from typing import Annotated

from cyclopts import Parameter

from ostiary.cli.output import Output

Out = Annotated[Output, Parameter(name="*")]
PLAIN = Output()
