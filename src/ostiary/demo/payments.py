"""The sample company's payments, as a real MCP server over stdio: the gateway starts it. Each payment is appended to a file."""

import json
import os
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

PAYEES = [
    {"name": "ACME Supplies", "iban": "DE89370400440532013000"},
    {"name": "Northwind Paper", "iban": "GB29NWBK60161331926819"},
]


def build(paid: Path) -> MCPServer:
    """Return the server; what is paid is appended to the file `paid`."""
    server = MCPServer("payments", "1.0")

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def list_payees() -> dict[str, list[dict[str, str]]]:
        """Return the suppliers the company has checked, with their accounts."""
        return {"payees": PAYEES}

    @server.tool()
    def pay(iban: str, amount: float, reference: str) -> dict[str, str]:
        """Pay an amount in EUR to an account."""
        with paid.open("a") as file:
            file.write(json.dumps({"iban": iban, "amount": amount, "reference": reference}) + "\n")
        return {"status": "paid", "iban": iban, "reference": reference}

    return server


if __name__ == "__main__":
    build(Path(os.environ["PAID_FILE"])).run("stdio")
