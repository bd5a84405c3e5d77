"""The signal monitor of ezmsg-tools, without a screen: a person looks at its graph, and clicks upon topics in it.

    QT_QPA_PLATFORM=offscreen monitor.py HOST PORT TOPIC [TOPIC ...]

Prints a line of JSON: the topics of its graph, and of each topic that was clicked upon the source that it shows, how,
and by how much the first number of a message grows from one to the next.
"""

import json
import sys
from typing import Any

from ezmsg.qt import EzSession
from ezmsg.tools.sigmon.cli import SigmonWindow
from PySide6.QtCore import QElapsedTimer, QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

PATIENCE_MS = 30_000
MESSAGES = 5


class Window(SigmonWindow):
    """Notes what the plot is given, and gives it."""

    def __init__(self, *arguments: Any) -> None:
        self.chosen: list[str] = []
        self.pushed: list[Any] = []
        super().__init__(*arguments)

    def _on_node_selected(self, topic: str) -> None:
        self.chosen.append(topic)
        super()._on_node_selected(topic)

    def _push_message(self, message: Any) -> None:
        super()._push_message(message)
        self.pushed.append((type(self._plot_widget).__name__, list(message.shape), float(message.data.flat[0])))


def click(window: Window, topic: str) -> None:
    """Click upon a topic where the picture of the graph has it."""
    graph = window._dag_widget
    [[x, y]] = graph._node_df.loc[graph._node_df["name"] == topic, ["x", "y"]].to_numpy()
    area, scale = graph._scroll_area, graph._display_scale
    across, down = area.horizontalScrollBar().value(), area.verticalScrollBar().value()
    place = QPoint(round(x * scale) - across, round(y * scale) - down)
    QTest.mouseClick(area.viewport(), Qt.MouseButton.LeftButton, pos=place)


def shown(app: QApplication, window: Window, topic: str) -> dict[str, Any]:
    click(window, topic)
    window.pushed.clear()
    timer = QElapsedTimer()
    timer.start()
    while len(window.pushed) < MESSAGES and timer.elapsed() < PATIENCE_MS:
        app.processEvents()
        QTest.qWait(20)
    assert len(window.pushed) >= MESSAGES, f"{topic}: nothing came"
    (widget, shape, first), (*_, second) = window.pushed[-2:]
    return {"clicked": topic, "shows": window.chosen[-1], "as": widget, "shape": shape, "grows": second - first}


def main() -> None:
    host, port, *topics = sys.argv[1:]
    address = (host, int(port))
    app = QApplication([])
    session = EzSession(graph_address=address)
    window = Window(address, session)
    window.resize(1200, 900)
    window.show()
    with session:
        QTest.qWait(100)
        names = sorted(window._dag_widget._node_df["name"])
        told = [shown(app, window, topic) for topic in topics]
        window.close()
    print(json.dumps({"topics": names, "shown": told}), flush=True)


main()
