//! Writing XML: elements with text or with children.

use std::fmt::Write;

/// One element.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: String,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Text(String),
    Children(Vec<Element>),
}

impl Element {
    /// An element with text.
    pub(super) fn text(name: &str, text: impl ToString) -> Self {
        Self { name: name.to_owned(), content: Content::Text(text.to_string()) }
    }

    /// An element with children.
    pub(super) fn parent(name: &str, children: Vec<Self>) -> Self {
        Self { name: name.to_owned(), content: Content::Children(children) }
    }

    /// A list: EC2 calls each of its members `item`.
    pub(super) fn list(name: &str, items: impl IntoIterator<Item = Vec<Self>>) -> Self {
        let items = items.into_iter().map(|children| Self::parent("item", children));
        Self::parent(name, items.collect())
    }

    /// A list of texts.
    pub(super) fn texts<T: ToString>(name: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| Self::text("item", item));
        Self::parent(name, items.collect())
    }

    /// The whole document.
    pub(super) fn document(&self, namespace: Option<&str>) -> String {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        self.write(&mut text, namespace);
        text
    }

    fn write(&self, to: &mut String, namespace: Option<&str>) {
        let _ = write!(to, "<{}", self.name);
        if let Some(namespace) = namespace {
            let _ = write!(to, " xmlns=\"{namespace}\"");
        }
        to.push('>');
        match &self.content {
            Content::Text(text) => to.push_str(&escaped(text)),
            Content::Children(children) => {
                children.iter().for_each(|child| child.write(to, None));
            }
        }
        let _ = write!(to, "</{}>", self.name);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
