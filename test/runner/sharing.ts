/** Rooms of many small test files: to load one of them in a process of its own costs more than most of its tests. */
const ROOMS = [
  'access',
  'admin-api',
  'bench',
  'config',
  'doctor',
  'export',
  'fetch',
  'hosted',
  'import',
  'lanes',
  'lib',
  'migrate',
  'object-store',
  'observe',
  'oci',
  'peers',
  'registry-api',
  'runtimes',
  'sources',
  'store',
  'testkit',
  'upkeep',
  'upstream',
  'warm',
  'webhooks',
].map((room) => `test/${room}/`)
/** Files of these rooms that need a process of their own. */
const ALONE = [
  // Their fixture has hooks.
  'test/observe/reports/',
  // Its servers cut requests, whose other sides stay open.
  'test/import/control/',
  // It looks at which modules the process has loaded.
  'test/upstream/auth/registrable-domain.test.ts',
]
/** With more files in a process, the last process would run alone for long. */
const MOST_FILES = 16
/** A hook outside of a suite holds for all tests of a process. */
const OWN_HOOK = /^(?:before|after)(?:Each)?\(/m

/**
 * Which test files run in one process, one after another: those of a room of small files, unless a file needs a process of
 * its own. `read` gives the text of a file.
 */
export function inProcesses(files: readonly string[], read: (file: string) => string): string[][] {
  const processes: string[][] = []
  const sharing = new Map<string, string[]>()
  for (const file of files) {
    const room = ROOMS.find((path) => file.startsWith(path))
    const isAlone = ALONE.some((path) => file.startsWith(path)) || OWN_HOOK.test(read(file))
    const canShare = room !== undefined && !isAlone
    const begun = canShare ? sharing.get(room) : undefined
    if (begun !== undefined && begun.length < MOST_FILES) begun.push(file)
    else {
      const group = [file]
      processes.push(group)
      if (canShare) sharing.set(room, group)
    }
  }
  // The largest ones first, because nothing should run alone at the end.
  return processes.sort((one, other) => other.length - one.length)
}
