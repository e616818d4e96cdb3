/** The format of `dcap/vectors.json`: recorded quotes with their content and Intel's verdicts. */
export interface RecordedQuote {
  readonly id: string
  readonly file: string
  readonly version: number
  readonly bodyType: number
  readonly bytes: number
  readonly teeTcbSvn: string
  readonly teeTcbSvn2: string | null
  readonly mrServiceTd: string | null
  readonly tdAttributes: string
  readonly debug: boolean
  readonly septVeDisable: boolean
  readonly xfam: string
  readonly seamAttributes: string
  readonly mrSeam: string
  readonly mrSignerSeam: string
  readonly mrTd: string
  readonly mrConfigId: string
  readonly mrOwner: string
  readonly mrOwnerConfig: string
  readonly rtmr: string[]
  readonly reportData: string
  readonly headerQeSvn: number
  readonly headerPceSvn: number
  readonly userData: string
  readonly qeAuthDataLen: number
  readonly qeReport: {
    readonly mrsigner: string
    readonly isvprodid: number
    readonly isvsvn: number
    readonly attributes: string
    readonly miscselect: string
  }
  readonly pck: {
    readonly ca: string
    readonly fmspc: string
    readonly pceid: string
    readonly pcesvn: number
    readonly tcbComponents: string
    readonly cpusvn: string
    readonly sgxType: number
    readonly serial: string
    readonly notBefore: string
    readonly notAfter: string
    readonly derLen: number
    readonly platformInstanceId: string
  }
  readonly checks: RecordedCheck[]
}

export interface RecordedCheck {
  readonly verifyAtUnix: number
  readonly notBefore: string
  readonly notAfter: string
  readonly tcbEval: number
  readonly qeEval: number
  readonly bundle: string | null
  readonly errors: string[]
  readonly result: {
    readonly verifies: boolean
    readonly status?: string
    readonly reason?: string
    readonly tcbDate?: string
    readonly advisoryIDs?: string[]
    readonly launchStatus?: string
    readonly current?: { readonly status: string; readonly tcbDate: string }
  }
}
