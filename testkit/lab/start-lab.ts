import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { requirePrograms, skipTest } from '../programs.ts'
import { Lab, type LabOptions } from './lab.ts'
import { missingNamespaceRight } from './namespaces.ts'

const ENTRY = fileURLToPath(new URL('../../src/main.js', import.meta.url))

/** Whether this machine can make network namespaces. If not, the test is skipped, or fails where all are required. */
export function requireNamespaces(t: TestContext): boolean {
  if (requirePrograms(t, ['ip', 'tc']) === undefined) return false
  const missing = missingNamespaceRight()
  if (missing === undefined) return true
  skipTest(t, `missing: the right to make network namespaces (root has it): ${missing}`)
  return false
}

/** Starts a lab for one test, which ends with it. Undefined where no lab can be made: the test is skipped or has failed. */
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
