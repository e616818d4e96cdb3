/**
 * Functions of Node that shared modules import beside what the page uses. The page never calls them, and the bundle drops
 * them. `web/vite.config.ts` names the modules.
 */
function absent(): never {
  throw new Error('This function of Node does not exist in a browser.')
}

export const constants = {}
export {
  absent as basename,
  absent as chmod,
  absent as chown,
  absent as createSecureContext,
  absent as dirname,
  absent as getCACertificates,
  absent as join,
  absent as link,
  absent as lstat,
  absent as mkdir,
  absent as open,
  absent as Readable,
  absent as readdir,
  absent as readFile,
  absent as realpath,
  absent as rename,
  absent as request,
  absent as rm,
  absent as stat,
  absent as writeFile,
}
