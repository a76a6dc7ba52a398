import type { AdminAuth } from '../../admin-api/admin-access.ts'
import { type Format, path, record, refuse } from '../values/format.ts'

const authFields = record({ tokenFile: path, readTokenFile: path }, ['tokenFile'])
const tlsFields = record({ cert: path, key: path }, ['cert', 'key'])

/** The `adminAuth` setting. */
export const adminAuth: Format<AdminAuth | undefined> = {
  ...authFields,
  read: (given) => {
    const { tokenFile, readTokenFile } = authFields.read(given)
    if (tokenFile === undefined)
      return refuse(given, 'has no tokenFile; give the file of the token for everything')
    if (tokenFile === readTokenFile)
      return refuse(given, 'names one file twice; leave out readTokenFile, or write another token')
    return Object.freeze({ tokenFile, ...(readTokenFile === undefined ? {} : { readTokenFile }) })
  },
}

/** The `adminTls` setting. */
export const adminTls: Format<{ readonly cert: string; readonly key: string } | undefined> = {
  ...tlsFields,
  read: (given) => {
    const { cert, key } = tlsFields.read(given)
    if (cert === undefined || key === undefined)
      return refuse(given, 'needs both cert and key; one of them is missing')
    return Object.freeze({ cert, key })
  },
}
