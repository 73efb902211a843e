import { Markup, markup } from "./markup.ts";
import { STYLE } from "./style.ts";

// Nothing but the page itself and pictures inside it may load, whatever a text of the run holds.
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/** One HTML page that needs no network, script or further file. */
export function htmlPage(title: string, body: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="referrer" content="no-referrer">
<title>${title} · DEFT</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`.text;
}
