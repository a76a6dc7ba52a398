import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { leave, requirePrograms } from '../programs.ts'
import { Lab, type LabOptions } from './lab.ts'
import { namespacesRefused } from './namespaces.ts'

const ENTRY = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** False, with the test skipped or failed, where there can be no lab. */
export function requireNamespaces(t: TestContext): boolean {
  if (requirePrograms(t, ['ip', 'tc']) === undefined) return false
  const refused = namespacesRefused()
  if (refused === undefined) return true
  leave(t, `missing: the right to make network namespaces (root has it): ${refused}`)
  return false
}

/** A lab for one test, gone when that ends. Undefined, with the test skipped or failed, where there can be none. */
export async function startLab(
  t: TestContext,
  options: Omit<LabOptions, 'entry' | 'folder'>,
): Promise<Lab | undefined> {
  if (!requireNamespaces(t)) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'leat-cluster-'))
  const lab = await Lab.open({ ...options, entry: ENTRY, folder })
  t.after(() => lab.close())
  return lab
}
