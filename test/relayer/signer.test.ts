import { Wallet } from 'ethers'
import { keccak256, parseTransaction, recoverTransactionAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, describe, expect, test } from 'vitest'
import { openKeystore } from '../../src/chain/signer/keystore.ts'
import { type Hex, toHex } from '../../src/lib/bytes.ts'
import { connectRemoteSigner, createLocalSigner } from '../../src/relayer/signer/signer.ts'
import { anvilKeys } from '../anvil.ts'
import { serveWeb3Signer, type Web3SignerFixtureOptions } from '../web3signer.ts'

const transaction = {
  to: '0x00000000000000000000000000000000000000aa',
  data: '0x1234',
  value: 5n,
  gas: 50_000n,
  maxFee: 30_000_000_000n,
  tip: 1_000_000_000n,
  chainId: 31_337,
  nonce: 7,
} as const

describe('a keystore', () => {
  // Test vectors of the Web3 Secret Storage definition, version 3: password "testpassword".
  const published = {
    pbkdf2: {
      crypto: {
        cipher: 'aes-128-ctr',
        cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
        ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
        kdf: 'pbkdf2',
        kdfparams: {
          c: 262144,
          dklen: 32,
          prf: 'hmac-sha256',
          salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd',
        },
        mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
      },
      id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
      version: 3,
    },
    scrypt: {
      crypto: {
        cipher: 'aes-128-ctr',
        cipherparams: { iv: '83dbcc02d8ccb40e466191a123791e0e' },
        ciphertext: 'd172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c',
        kdf: 'scrypt',
        kdfparams: {
          dklen: 32,
          n: 262144,
          r: 1,
          p: 8,
          salt: 'ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19',
        },
        mac: '2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097',
      },
      id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
      version: 3,
    },
  }
  const secret = '7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d'

  test('of the test vector in its specification opens to the published key', async () => {
    for (const file of Object.values(published)) {
      expect(toHex(await openKeystore(JSON.stringify(file), 'testpassword'))).toBe(secret)
    }
  })

  // geth 1.x, from its own test data; Foundry: `cast wallet import` 1.7.1 with anvil's first key
  test.each([
    {
      tool: 'geth',
      password: '',
      address: '0x45dea0fb0bba44f4fcf290bba71fd57d7117cbb8',
      ciphertext: 'b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145',
      iv: 'dc4926b48a105133d2f16b96833abf1e',
      kdfparams: {
        dklen: 32,
        n: 2,
        p: 1,
        r: 8,
        salt: '004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0',
      },
      mac: '39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85',
    },
    {
      tool: 'geth, with another p',
      password: 'foobar',
      address: '0xf466859ead1932d743d622cb74fc058882e8648a',
      ciphertext: 'cb664472deacb41a2e995fa7f96fe29ce744471deb8d146a0e43c7898c9ddd4d',
      iv: 'dfd9ee70812add5f4b8f89d0811c9158',
      kdfparams: {
        dklen: 32,
        n: 8,
        p: 16,
        r: 8,
        salt: '0d6769bf016d45c479213990d6a08d938469c4adad8a02ce507b4a4e7b7739f1',
      },
      mac: 'bac9af994b15a45dd39669fc66f9aa8a3b9dd8c22cb16e4d8d7ea089d0f1a1a9',
    },
    {
      tool: 'Foundry',
      password: 'pass wörd',
      address: '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
      ciphertext: 'f073a960453303b9a701062311906327db2952d655c53ee1ec563172dd24e598',
      iv: '776e28095bee72b5c3cf77edea48da19',
      kdfparams: {
        dklen: 32,
        n: 8192,
        p: 1,
        r: 8,
        salt: '4d50f8c57d3562fc0af7d4b4b0f899ca1e79d0c86a2a3da12c37ed6bf3a822c2',
      },
      mac: 'cd04c2c4f718560e7610bb1911c1f0d08e33ac9c8dae0e2059f27e4337b80d65',
    },
  ])('written by $tool opens here', async ({ password, address, iv, ...file }) => {
    const crypto = { ...file, cipher: 'aes-128-ctr', cipherparams: { iv }, kdf: 'scrypt' }
    const key = await openKeystore(JSON.stringify({ crypto, version: 3 }), password)

    expect(privateKeyToAccount(`0x${toHex(key)}`).address.toLowerCase()).toBe(address)
  })

  test('written by ethers opens here', async () => {
    const wallet = new Wallet(anvilKeys[0])
    const json = await wallet.encrypt('pass wörd', undefined)

    expect(toHex(await openKeystore(json, 'pass wörd'))).toBe(anvilKeys[0].slice(2))
  }, 120_000)

  test('does not open with another password, and the error does not show it', async () => {
    const failed = openKeystore(JSON.stringify(published.pbkdf2), 'secret-guess')

    await expect(failed).rejects.toMatchObject({ code: 'KEYSTORE_PASSWORD' })
    await expect(failed).rejects.not.toThrow(/secret-guess/)
  })

  test('of another format is refused', async () => {
    const { crypto } = published.pbkdf2
    const wrong = [
      '',
      '{}',
      JSON.stringify({ version: 3 }),
      JSON.stringify({ version: 4, crypto }),
      JSON.stringify({ version: 3, crypto: { ...crypto, cipher: 'aes-256-cbc' } }),
      JSON.stringify({ version: 3, crypto: { ...crypto, mac: 'ab' } }),
      JSON.stringify({
        version: 3,
        crypto: { ...crypto, kdfparams: { ...crypto.kdfparams, c: 1e9 } },
      }),
    ]
    for (const json of wrong) {
      await expect(openKeystore(json, 'testpassword')).rejects.toMatchObject({
        code: 'KEYSTORE_INVALID',
      })
    }
  })
})

test('a local signer signs the given transaction with its account', async () => {
  const signer = createLocalSigner(anvilKeys[0])
  const { raw, hash } = await signer.sign(transaction)

  expect(hash).toBe(keccak256(raw))
  expect(await recoverTransactionAddress({ serializedTransaction: raw as `0x02${string}` })).toBe(
    privateKeyToAccount(anvilKeys[0]).address,
  )
  expect(parseTransaction(raw)).toMatchObject({
    nonce: 7,
    maxFeePerGas: transaction.maxFee,
    gas: 50_000n,
  })
})

describe('a remote signer', () => {
  let stop: () => void = () => undefined
  afterEach(() => stop())

  async function serve(options: Web3SignerFixtureOptions = {}): Promise<string> {
    const signer = await serveWeb3Signer(options)
    stop = signer.stop
    return signer.url
  }

  const account = privateKeyToAccount(anvilKeys[1]).address.toLowerCase() as Hex

  test('returns the same transaction as a local signer with the same key', async () => {
    const signer = await connectRemoteSigner({ url: await serve(), account })

    expect(signer.address).toBe(account)
    expect(await signer.sign(transaction)).toEqual(
      await createLocalSigner(anvilKeys[1]).sign(transaction),
    )
  })

  test('without the key of the account is refused at the start', async () => {
    const connecting = connectRemoteSigner({ url: await serve({ key: anvilKeys[2] }), account })

    await expect(connecting).rejects.toMatchObject({ code: 'SIGNER_WRONG' })
  })

  test('that returns a wrong signature is detected before a transaction is sent', async () => {
    for (const sabotage of [
      (signature: string) => signature.replace(/^0x..../, '0x0001'),
      () => '0x00',
      () => 'sorry',
    ]) {
      const url = await serve({ sabotage })
      const signer = await connectRemoteSigner({ url, account })
      await expect(signer.sign(transaction)).rejects.toMatchObject({ code: 'SIGNER_WRONG' })
      stop()
    }
  })

  test('that does not answer is an outage', async () => {
    const signer = await connectRemoteSigner({ url: await serve(), account })
    stop()

    await expect(signer.sign(transaction)).rejects.toMatchObject({
      code: 'SIGNER_UNREACHABLE',
    })
  })
})
