import { type Format, text } from './format.ts'

/** A number from 1 to `most`. */
export function countTo(most: number): Format<number> {
  return text(
    (given) =>
      /^\d{1,4}$/.test(given) && Number(given) >= 1 && Number(given) <= most ? Number(given) : undefined,
    `a number from 1 to ${most}`,
    { type: ['integer', 'string'], minimum: 1, maximum: most },
  )
}
