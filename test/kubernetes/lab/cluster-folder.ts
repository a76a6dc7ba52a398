import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOf } from '../../../testkit/lab/namespaces.ts'
import { foldersOf, removeControlGroups } from './control-groups.ts'

/** The names also hold the pid and the start of the process, so that folders of a killed process can be recognized. */
const PREFIX = 'leat-kubernetes'

/** Makes the folder of a cluster, after removing what clusters of killed processes have left. */
export async function makeClusterFolder(): Promise<string> {
  for (const name of await foldersOf(tmpdir())) {
    const [prefix, pid = '', start = ''] = name.split('.')
    if (prefix === PREFIX && startOf(Number(pid)) !== start) await removeCluster(join(tmpdir(), name))
  }
  return await mkdtemp(join(tmpdir(), `${PREFIX}.${process.pid}.${startOf(process.pid)}.`))
}

async function removeCluster(folder: string): Promise<void> {
  for (const name of await foldersOf(nodeFolder(folder, '')))
    await removeControlGroups(nodeFolder(folder, name))
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

export function nodeFolder(cluster: string, name: string): string {
  return join(cluster, 'nodes', name)
}
