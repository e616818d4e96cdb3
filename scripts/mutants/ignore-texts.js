/**
 * A Stryker plugin: skips mutants in the texts and facts of errors, in the field names that readers put into them, and in
 * the help texts of metrics.
 * No behaviour depends on them. Error codes are still changed.
 *
 * Plain JavaScript, because Stryker loads plugins in its own processes.
 */
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'

const errorClasses = new Set(['AssentError', 'Rejection', 'RangeError', 'TypeError', 'Error'])
const reason = 'text or facts of an error'

/** Methods of the binary readers whose first (0), second (1) or third (2) argument names the field in an error. */
const fieldPositions = {
  ...{ bool: 0, members: 0, text: 0, u8: 0, u16: 0, u32: 0, u64: 0 },
  ...{ finish: 0, readBoolean: 0, readNumber: 0, readOid: 0, readOctets: 0, readTime: 0 },
  ...{ readTrue: 0, readUnsigned: 0, requireWellFormed: 0, fromFirst: 0, allFailed: 0 },
  ...{ check: 2 },
  // the second argument of the helpers that create metrics is the help text
  ...{ clientTime: 1, counter: 1, gauge: 1 },
  ...{ enter: 1, read: 1, readWhole: 1, require: 1, requireLength: 1, take: 1, fromHex: 1 },
}

/** True for what is printed, and false for the code of an error. */
function isErrorText(path) {
  const { node, parent, key } = path
  // of a metric
  if (parent?.type === 'ObjectProperty' && parent.key.name === 'help') return true
  const isText = ['StringLiteral', 'TemplateLiteral', 'ObjectExpression'].includes(node.type)
  const isNewError = parent?.type === 'NewExpression' && errorClasses.has(parent.callee.name)
  // the arguments of a helper that creates the error: `throw malformed(field, 'found', 'expected')`
  const isThrown =
    parent?.type === 'CallExpression' && path.parentPath.parent?.type === 'ThrowStatement'
  if (!isText || path.listKey !== 'arguments') return false
  const callee = parent.callee.property?.name ?? parent.callee.name
  if (parent.type === 'CallExpression' && fieldPositions[callee] === key) return true
  if (isNewError) return key > 0 || !/^[A-Z0-9_]+$/.test(node.value ?? '')
  return isThrown && !/^[A-Z0-9_]+$/.test(node.value ?? '')
}

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'error-texts', {
    shouldIgnore: (path) => (isErrorText(path) ? reason : undefined),
  }),
]
