# SPDX-License-Identifier: Apache-2.0
"""report.json: which figure was drawn from which rows of which files."""
import hashlib
import json


def index_document(results, made, warnings):
    """made: (module, Drawn, svg text, png bytes) of every figure. Text of a JSON document."""
    figures = []
    for module, drawn, svg, png in made:
        figures.append({
            "name": module.NAME, "title": module.TITLE, "kinds": drawn.kinds, "caption": drawn.caption,
            "files": [{"path": f"figures/{module.NAME}.svg", "sha256": hashlib.sha256(svg.encode("utf-8")).hexdigest()},
                      {"path": f"figures/{module.NAME}.png", "sha256": hashlib.sha256(png).hexdigest()}],
            "sources": drawn.sources, "missing": [{"what": what, "command": command} for what, command in drawn.missing],
        })
    document = {
        "schema": "ringscale.report", "schema_version": 1, "page": "report.html", "figures": figures,
        "inputs": [{"path": document.name, "schema": document.schema, "sha256": document.sha256}
                   for document in results.documents],
        "not_used": [{"path": name, "schema": schema} for name, schema in results.skipped],
        "warnings": warnings,
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
