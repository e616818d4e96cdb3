/** The wallets of this browser, to connect one. */
import { useState } from 'react'

import { connect, describeWalletError, useWallets } from '../wallet/wallets.ts'

/** @param command which command does the same without a wallet of the browser */
export function WalletChoice({ command }: { command: string }) {
  const wallets = useWallets()
  const [problem, setProblem] = useState('')
  return (
    <>
      <p>
        {wallets.length === 0
          ? `This browser has no wallet that announces itself (EIP-6963). The command ${command} does the same.`
          : 'Connect a wallet:'}
      </p>
      {wallets.length === 0 ? null : (
        <p className="buttons">
          {wallets.map((wallet) => (
            <button
              type="button"
              className="button"
              key={wallet.id}
              onClick={() =>
                connect(wallet).catch((error) => setProblem(describeWalletError(error)))
              }
            >
              {wallet.name}
            </button>
          ))}
        </p>
      )}
      {problem === '' ? null : <p role="alert">{problem}</p>}
    </>
  )
}
