/**
 * A Stryker plugin: skips mutants in the texts and facts of errors. Nobody's behaviour depends on them, and the first
 * argument, the error code, is still changed.
 *
 * Plain JavaScript, because Stryker loads plugins in its own processes.
 */
import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin'

const errorClasses = new Set(['AssentError', 'Rejection', 'RangeError', 'TypeError', 'Error'])
const reason = 'text or facts of an error'

/** True for what is printed, and false for the code of an error. */
function isErrorText(path) {
  const { node, parent, key } = path
  const isText = ['StringLiteral', 'TemplateLiteral', 'ObjectExpression'].includes(node.type)
  const isNewError = parent?.type === 'NewExpression' && errorClasses.has(parent.callee.name)
  // the arguments of a helper that creates the error: `throw malformed(field, 'found', 'expected')`
  const isThrown =
    parent?.type === 'CallExpression' && path.parentPath.parent?.type === 'ThrowStatement'
  if (!isText || path.listKey !== 'arguments') return false
  if (isNewError) return key > 0 || !/^[A-Z0-9_]+$/.test(node.value ?? '')
  return isThrown && !/^[A-Z0-9_]+$/.test(node.value ?? '')
}

export const strykerPlugins = [
  declareValuePlugin(PluginKind.Ignore, 'error-texts', {
    shouldIgnore: (path) => (isErrorText(path) ? reason : undefined),
  }),
]
