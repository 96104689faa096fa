"""Alert templates: the part of Go's text/template that Prometheus' rules use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.templates.execute import Execution
from watchroom.monitor.templates.functions import FUNCTIONS
from watchroom.monitor.templates.lex import TemplateSyntaxError
from watchroom.monitor.templates.parse import Parser
from watchroom.monitor.templates.values import Context, ExpandError, Sample

if TYPE_CHECKING:
    from watchroom.monitor.templates import nodes

__all__ = ["Context", "ExpandError", "Sample", "Template", "TemplateSyntaxError"]

_DECLARED = ("$", "$labels", "$externalLabels", "$externalURL", "$value")


class Template:
    """A label's or annotation's text, read once and expanded at every evaluation.

    Args:
        text: The template.
        name: What errors call it: ``__alert_HighErrorRate``.

    Raises:
        TemplateSyntaxError: It is not of the supported subset.
    """

    __slots__ = ("_name", "_text", "_tree")

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._tree: tuple[nodes.Node, ...] = Parser(text, FUNCTIONS, _DECLARED).parse()

    def render(self, context: Context) -> str:
        """Return the expanded text.

        Raises:
            ExpandError: It failed at run time.
        """
        scope = {
            "$labels": dict(context.labels),
            "$externalLabels": dict(context.external_labels),
            "$externalURL": context.external_url,
            "$value": context.value,
        }
        run = Execution(self._name, self._text, context, scope, FUNCTIONS)
        return run.run(self._tree)

    def expand(self, context: Context) -> str:
        """Return the expanded text, or what went wrong, as Prometheus puts it."""
        try:
            return self.render(context)
        except ExpandError as error:
            return (
                f"<error expanding template: error executing template {self._name}: "
                f"{error}>"
            )
