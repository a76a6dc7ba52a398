import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fc, runs } from '../../testkit/property-runs.ts'
import { Lose, Put, PutWrong, Read } from './model/content-steps.ts'
import { contents } from './model/contents.ts'
import { Model } from './model/model.ts'
import { Checked, Evict, Remove, Restart, SetPin } from './model/store-steps.ts'
import { TestedStore } from './model/tested-store.ts'

/**
 * Compares the store on disk with a model in memory: after the same operations in any order, with crashes and restarts
 * between them, both have the same blobs. A crash is simulated by a new store that opens a copy of the folder.
 */

const RUNS = 6
const STEPS = 60

it('the store behaves as a model in memory under any order of operations and crashes', async () => {
  const any = fc.constantFrom(...contents)
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(any, fc.constantFrom(1, 1, 1, 0.6))
        .map(([content, part]) => new Put(content, part)),
    },
    { weight: 1, arbitrary: any.map((content) => new PutWrong(content)) },
    { weight: 4, arbitrary: any.map((content) => new Read(content)) },
    {
      weight: 3,
      arbitrary: fc.tuple(any, fc.boolean()).map(([content, pinned]) => new SetPin(content, pinned)),
    },
    { weight: 2, arbitrary: any.map((content) => new Remove(content)) },
    { weight: 2, arbitrary: fc.constantFrom(0, 100_000, 400_000).map((bytes) => new Evict(bytes)) },
    { weight: 2, arbitrary: fc.constantFrom('restart', 'crash').map((how) => new Restart(how)) },
    { weight: 1, arbitrary: any.map((content) => new Lose(content)) },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.commands([step.map((each) => new Checked(each))], { maxCommands: STEPS, size: 'max' }),
      async (steps) => {
        const root = await mkdtemp(join(tmpdir(), 'leat-model-'))
        const real = await TestedStore.begin(root)
        try {
          await fc.asyncModelRun(() => ({ model: new Model(), real }), steps)
        } finally {
          await real.store.close()
          await rm(root, { recursive: true })
        }
      },
    ),
    runs(RUNS),
  )
})
