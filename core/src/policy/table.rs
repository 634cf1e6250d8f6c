//! Tables of a document: known fields, each with its path, place and type.

use super::source::{Source, Spot, Text, nearest, one_of, shown};
use super::tree::{Key, Node, Value};
use crate::error::{Error, Result};

/// A table whose fields are all known and occur once.
pub(super) struct Table<'t> {
    source: Source<'t>,
    at: usize,
    path: String,
    entries: &'t [(Key<'t>, Node<'t>)],
}

/// A field, or an item of a list.
pub(super) struct Field<'t> {
    pub(super) source: Source<'t>,
    /// The last part of the path; empty for an item.
    pub(super) name: &'t str,
    /// Where the name stands; of an item, the item.
    pub(super) name_at: usize,
    pub(super) path: String,
    pub(super) node: &'t Node<'t>,
}

impl<'t> Table<'t> {
    /// Refuses what is no table, fields that are not known, and fields that occur twice.
    pub(super) fn open(
        source: Source<'t>,
        node: &'t Node<'t>,
        path: String,
        known: &[&str],
    ) -> Result<Table<'t>> {
        let table = Table::any(source, node, path)?;
        for (index, (key, _)) in table.entries.iter().enumerate() {
            let name = key.name.as_ref();
            if !known.contains(&name) {
                let remedy = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`? Known here: {}", one_of(known)),
                    None => format!("known here: {}", one_of(known)),
                };
                let problem = format!("unknown field {}", shown(name));
                return Err(source.error(key.at, table.path_of(name), problem, remedy));
            }
            table.once(index)?;
        }
        Ok(table)
    }

    /// A table whose fields have names of the policy's own: at least one and at most `most`, each once.
    /// `what` is the plural of what they name.
    pub(super) fn open_named(
        source: Source<'t>,
        node: &'t Node<'t>,
        path: String,
        most: usize,
        what: &str,
    ) -> Result<Table<'t>> {
        let table = Table::any(source, node, path)?;
        if table.entries.is_empty() {
            return table.spot().error(
                source,
                "the table is empty",
                "write at least one, or remove it",
            );
        }
        if let Some((key, _)) = table.entries.get(most) {
            let problem = format!("more than {most} {what}");
            let remedy = format!("write at most {most}");
            return Err(source.error(key.at, table.path_of(&key.name), problem, remedy));
        }
        (0..table.entries.len()).try_for_each(|index| table.once(index))?;
        Ok(table)
    }

    fn any(source: Source<'t>, node: &'t Node<'t>, path: String) -> Result<Table<'t>> {
        let Value::Table(entries) = &node.value else {
            let path = if path.is_empty() { super::document::FIELD.to_owned() } else { path };
            let field = Field { source, name: "", name_at: node.at, path, node };
            return Err(field.wrong_type("a table", "`{ … }`"));
        };
        Ok(Table { source, at: node.at, path, entries })
    }

    /// Refuses a field that occurred before.
    fn once(&self, index: usize) -> Result<()> {
        let key = &self.entries[index].0;
        if self.entries[..index].iter().all(|(earlier, _)| earlier.name != key.name) {
            return Ok(());
        }
        let path = self.path_of(&key.name);
        Err(self.source.error(key.at, path, "the field occurs twice", "remove one of the two"))
    }

    pub(super) fn source(&self) -> Source<'t> {
        self.source
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'t>> + '_ {
        self.entries.iter().map(|(key, node)| Field {
            source: self.source,
            name: key.name.as_ref(),
            name_at: key.at,
            path: self.path_of(&key.name),
            node,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<Field<'t>> {
        self.fields().find(|field| field.name == name)
    }

    /// The table itself.
    pub(super) fn spot(&self) -> Spot {
        Spot { at: self.at, field: self.path.clone() }
    }

    /// An error about a field that is missing.
    pub(super) fn error(&self, name: &str, problem: &str, remedy: &str) -> Error {
        self.source.error(self.at, self.path_of(name), problem, remedy)
    }

    fn path_of(&self, name: &str) -> String {
        // Names come from the document: an unknown one may be of any length and hold anything.
        let shown = shown(name);
        let name = if name.is_empty() { "\"\"" } else { shown.trim_matches('`') };
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'t> Field<'t> {
    pub(super) fn spot(&self) -> Spot {
        Spot { at: self.node.at, field: self.path.clone() }
    }

    /// The name of the field.
    pub(super) fn name_spot(&self) -> Spot {
        Spot { at: self.name_at, field: self.path.clone() }
    }

    /// An error at this field.
    pub(super) fn fail<T>(
        &self,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Result<T> {
        self.spot().error(self.source, problem, remedy)
    }

    pub(super) fn wrong_type(&self, wanted: &str, example: &str) -> Error {
        let problem = format!("this is {}, {wanted} is needed", self.node.value.kind());
        self.source.error(
            self.node.at,
            self.path.clone(),
            problem,
            format!("write for example {example}"),
        )
    }

    /// An error about a word that is not one of the choices.
    pub(super) fn unknown<'n>(&self, word: &str, choices: impl Iterator<Item = &'n str>) -> Error {
        let choices: Vec<_> = choices.collect();
        let hint = nearest(word, choices.iter().copied())
            .map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let remedy = format!("{hint}write {}", one_of(&choices));
        let problem = format!("unknown value {}", shown(word));
        self.source.error(self.node.at, self.path.clone(), problem, remedy)
    }

    pub(super) fn as_text(&self) -> Option<Text<'t>> {
        match &self.node.value {
            Value::Text(text) => Some(Text::quoted(self.source, self.node.at, text)),
            _ => None,
        }
    }

    /// The string; `example` is one that would do.
    pub(super) fn text(&self, example: &str) -> Result<Text<'t>> {
        self.as_text().ok_or_else(|| self.wrong_type("a string", &format!("`{example}`")))
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        match self.node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(self.wrong_type("a boolean", "`true`")),
        }
    }

    /// The field as the one item of a list.
    pub(super) fn itself(&self) -> Field<'t> {
        Field { path: self.path.clone(), ..*self }
    }

    /// The items of a list that is not empty.
    pub(super) fn items(&self, wanted: &str, example: &str) -> Result<Vec<Field<'t>>> {
        let items = self.any_items(wanted, example)?;
        if items.is_empty() {
            return self.fail("the list is empty", format!("write at least one: {example}"));
        }
        Ok(items)
    }

    /// The items of a list.
    pub(super) fn any_items(&self, wanted: &str, example: &str) -> Result<Vec<Field<'t>>> {
        let Value::List(items) = &self.node.value else {
            return Err(self.wrong_type(wanted, example));
        };
        let item = |(index, node): (usize, &'t Node<'t>)| Field {
            source: self.source,
            name: "",
            name_at: node.at,
            path: format!("{}[{index}]", self.path),
            node,
        };
        Ok(items.iter().enumerate().map(item).collect())
    }
}
