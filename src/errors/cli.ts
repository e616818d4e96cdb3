/** Errors of the command line itself. */
export const cliErrors = {
  USAGE_INVALID: {
    why: 'The command line has an unknown option, a missing argument or a wrong value.',
    fix: 'Run the same command with --help.',
  },
  NAME_UNKNOWN: {
    why: 'No app, proposal, host or image has this name or id, and none begins with these digits.',
    fix: 'Pass the whole id, a name from [names] of the profile, or enough digits of an id that is on this chain. `assent config show` prints the names.',
  },
  NAME_AMBIGUOUS: {
    why: 'Several ids begin with these digits, or several images have this name.',
    fix: 'Pass more digits. The facts list the candidates.',
  },
  IN_PROCESS_CHAIN_UNAVAILABLE: {
    why: 'The in-process chain needs the package `hardhat` and the compiled contracts. One of them is missing.',
    fix: 'In a clone, run `npm run build`. With the installed package, run `npm install hardhat@3`. Without --onchain neither is needed.',
  },
  QUOTE_MISSING: {
    why: 'A file, an answer or a certificate is readable but contains no quote.',
    fix: 'Pass a quote, an answer of the guest agent to GetQuote or Attest, or a certificate with a quote (RA-TLS).',
  },
  QUOTE_AMBIGUOUS: {
    why: 'The input can be read in two ways, or contains two quotes that differ. Assent does not choose one.',
    fix: 'Pass the quote alone, as raw bytes. A file that is named like an address: put `./` before its name.',
  },
  SERVER_UNREACHABLE: {
    why: 'A server did not answer, or did not finish a TLS handshake in time.',
    fix: 'Check the address and the port, and that the server speaks TLS itself. This says nothing about its quote.',
  },
  LOG_ROLLED_BACK: {
    why: 'A KMS node signed a head with fewer entries than it showed before.',
    fix: 'Keep the copy: it is evidence. Ask the operator, and do not trust the node until it is explained.',
  },
  LOG_CLOSED: {
    why: 'The node does not show its entries (`releaseLog.entries` is `private`), or it has deleted the older segments.',
    fix: 'Ask the operator for the files, or begin at a later segment with --from-segment.',
  },
  CASE_INCOMPLETE: {
    why: 'A case in the folder or list lacks a required file or has an unknown one.',
    fix: 'Give each folder a `quote.bin` and a `collateral.json`, and each line of a list a quote and its collateral.',
  },
  DASHBOARD_NOT_BUILT: {
    why: 'A clone of the repository has no built page. The published package contains it.',
    fix: 'Run `npm ci --prefix web` and `npm run build --prefix web`.',
  },
  ADDRESS_IN_USE: {
    why: 'Another process listens on this port or socket, or a process that was killed left the file of its socket.',
    fix: 'Choose another port or path, or stop the other process. If no process listens on the socket, delete its file.',
  },
  ADDRESS_UNUSABLE: {
    why: 'The system does not let this process listen on this port or socket: the folder does not exist, the path is too long for a socket, or this user has no permission.',
    fix: 'Choose another port or path. The path of a socket has at most 107 bytes.',
  },
} as const
