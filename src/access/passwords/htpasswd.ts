import { FileProblem } from '../../lib/watched-file.ts'

/** Of a higher cost a single login would take a core for seconds. */
const MOST_COST = 15
const LEAST_COST = 4
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/** The users of a file of `htpasswd -B`, with their bcrypt hashes. */
export function parseHtpasswd(text: string, path: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = line.trim()
    if (entry === '' || entry.startsWith('#')) continue
    const refuse = (problem: string): never => {
      throw new FileProblem(path, `${path}:${index + 1}: ${problem}`)
    }
    const colon = entry.indexOf(':')
    if (colon < 1) return refuse('expected USER:HASH; write the line with htpasswd -B')
    const [user, hash] = [entry.slice(0, colon), entry.slice(colon + 1)]
    const cost = Number(BCRYPT.exec(hash)?.[1] ?? Number.NaN)
    if (Number.isNaN(cost))
      return refuse('the hash is not one of bcrypt; write the line again with htpasswd -B')
    if (cost < LEAST_COST || cost > MOST_COST)
      return refuse(
        `the cost ${cost} is not between ${LEAST_COST} and ${MOST_COST}; write the line with htpasswd -B -C 10`,
      )
    if (users.has(user)) return refuse('the user is in the file already; keep one line')
    // The three versions differ only in which old library had a bug.
    users.set(user, hash.replace(/^\$2[ay]/, '$2b'))
  }
  return users
}
