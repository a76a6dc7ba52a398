import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
/** containerd makes the control groups of pods here, one below each controller, or one in all (version 2). */
const OF_PODS = 'k8s.io'
/** containerd has a folder here for each container, with the name of the control group, and removes it after the group. */
const CONTAINERS = 'lib/containerd/io.containerd.runtime.v2.task/k8s.io'

/** Removes the control groups of a node whose processes have ended. The kernel keeps those of a node that has lost its power. */
export async function removeControlGroups(nodeFolder: string): Promise<void> {
  const names = await foldersOf(join(nodeFolder, CONTAINERS))
  for (const folder of ['.', ...(await foldersOf(ROOT))]) {
    const parent = join(ROOT, folder, OF_PODS)
    // A controller without the group, and a group that other containers use, stay as they are.
    for (const path of [...names.map((name) => join(parent, name)), parent]) await rmdir(path).catch(() => {})
  }
}

/** The names of the folders in one that may be missing. */
export async function foldersOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}
