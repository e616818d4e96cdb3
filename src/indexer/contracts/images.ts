/** Events of the image registry: names, closed images, measurement sets. */
import { imagesAbi } from '../../chain/abi.ts'
import { change, contractEvents } from '../change.ts'
import { registryHandlers, renounceableHandlers, setting } from './owned.ts'

const newImage = { name: '', isClosed: false }

export const imagesEvents = contractEvents(imagesAbi, {
  ...registryHandlers([8]),
  ...renounceableHandlers,
  MeasurementSetDescribed: ({ args: { id, ...set } }) => [change('measurementSets', id, () => set)],
  ImageNameSet: ({ args: { osImageHash, name } }) => [
    change('images', osImageHash, (row = newImage) => ({ ...row, name })),
  ],
  ImageClosed: ({ args: { osImageHash, isClosed } }) => [
    change('images', osImageHash, (row = newImage) => ({ ...row, isClosed })),
  ],
  ActivationDelaySet: (event) => [setting(event, 'activationDelay', event.args.delay)],
})
