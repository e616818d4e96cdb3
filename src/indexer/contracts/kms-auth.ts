/** Events of `KmsAuth`: its approvals, the apps it registers, and its settings. */
import { kmsAuthAbi } from '../../chain/abi.ts'
import { change, contractEvents, update } from '../change.ts'
import { newApp } from './new-rows.ts'
import { registryHandlers, renounceableHandlers, setting } from './owned.ts'

export const kmsAuthEvents = contractEvents(kmsAuthAbi, {
  ...registryHandlers([0, 1, 2, 3]),
  ...renounceableHandlers,
  AppRegistered: ({ args }) => [change('apps', args.appId, (row) => row ?? newApp)],
  AppDeployedViaFactory: ({ args }) => [update('apps', args.appId, { deployer: args.deployer })],
  ActivationDelaySet: (event) => [
    setting(event, `activationDelay${event.args.kind}`, event.args.delay),
  ],
  HostsSet: (event) => [setting(event, 'hosts', event.args.hosts)],
  ImagesSet: (event) => [setting(event, 'images', event.args.images)],
  GatewayAppIdSet: (event) => [setting(event, 'gatewayAppId', event.args.gatewayAppId)],
  AppImplementationSet: (event) => [setting(event, 'appImplementation', event.args.implementation)],
  KmsInfoRecorded: (event) => [setting(event, 'kmsInfo', event.args.info)],
  KmsQuoteSet: (event) => [withKmsInfo(event, { quote: event.args.quote })],
  KmsEventlogSet: (event) => [withKmsInfo(event, { eventlog: event.args.eventlog })],
})

/** Changes a part of `kmsInfo`. */
function withKmsInfo(event: { readonly contract: `0x${string}` }, part: object) {
  return update('contracts', event.contract, ({ settings }) => ({
    settings: { ...settings, kmsInfo: { ...(settings.kmsInfo ?? noKmsInfo), ...part } },
  }))
}

const noKmsInfo = { k256Pubkey: '0x', caPubkey: '0x', quote: '0x', eventlog: '0x' }
