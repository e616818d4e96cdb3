/** Words between a group and its commands. */
export const folderSummaries: Readonly<Record<string, string>> = {
  'dao guardian': 'Suspend approvals, lift suspensions, set the guardian',
  'app env': 'Environments of an app',
  'kms log': 'The release log of a KMS node',
}
