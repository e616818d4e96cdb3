/** The page that passes questions to a wallet: one HTML document without any other file, and the policy that it obeys. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { unprintable } from '../../../lib/printable.ts'

/** A page and its response headers. */
export interface WalletPage {
  readonly html: string
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Builds the page. Its policy (Content Security Policy, level 3) allows exactly this script and this style, by their
 * SHA-256, and requests to the server of the page. Nothing else is loaded, and no other page can show it in a frame.
 */
export function createWalletPage(): WalletPage {
  const script = `const unprintable = ${unprintable}\n${read('page.js')}`
  const style = read('page.css')
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return {
    html: document(script, style),
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'cache-control': 'no-store',
    },
  }
}

/** The build copies these files beside the compiled module. */
function read(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8')
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

const document = (script: string, style: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Assent</title>
<style>${style}</style>
</head>
<body>
<h1 id="title">Assent asks your wallet</h1>
<dl id="facts"></dl>
<ul id="words"></ul>
<details id="raw" hidden><summary>The exact bytes</summary><pre id="bytes"></pre></details>
<p id="status" role="status"></p>
<form id="sent" hidden>
<label>Hash of the transaction, if the wallet has sent it <input name="hash" size="68" autocomplete="off" required pattern="0x[0-9a-fA-F]{64}"></label>
<button>Check it</button>
</form>
<div id="buttons"></div>
<noscript><p>This page needs JavaScript.</p></noscript>
<script type="module">${script}</script>
</body>
</html>
`
