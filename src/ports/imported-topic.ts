/** The topic of what imports add to the list about a topic; see `Catalog`. */
export function importedTopic(topic: string): string {
  return `imported/${topic}`
}
