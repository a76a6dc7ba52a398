import { RUNTIMES, type Runtime } from '../../runtimes/files/plan.ts'
import { type Invocation, usageError } from './command.ts'

/** The runtimes that `--runtime` names; undefined if it is not given. */
export function runtimesOf({ values }: Invocation): readonly Runtime[] | undefined {
  const value = values['runtime']
  const names = value === undefined ? [] : typeof value === 'string' ? [value] : value
  const runtimes = names.map((name): Runtime => {
    const known = RUNTIMES.find((each) => each === name)
    if (known === undefined)
      throw usageError(`--runtime is ${JSON.stringify(name)}; expected ${RUNTIMES.join(', ')}`)
    return known
  })
  return runtimes.length === 0 ? undefined : runtimes
}
