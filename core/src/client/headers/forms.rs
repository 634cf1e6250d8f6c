//! Whole quotas in one field, in the forms of some interfaces.

use super::Reader;
use super::names::Form;
use super::values::{self, Unit};

impl Reader {
    pub(super) fn read_form(&mut self, form: Form, name: &str, text: &str) {
        match form {
            Form::Fraction => self.read_fractions(text),
            Form::Pairs => self.read_pairs(name, text),
            Form::Riot => self.read_riot(name, text, false),
            Form::RiotCount => self.read_riot(name, text, true),
            Form::Percent => self.read_percentages(text),
        }
    }

    /// `32/40` (Shopify); `api-usage=18/5000; per-app-api-usage=17/250(appName=x)` (Salesforce).
    fn read_fractions(&mut self, text: &str) {
        for part in text.split([';', ',']) {
            let (name, fraction) = part.split_once('=').unwrap_or(("", part));
            let Some((used, limit)) = fraction.split_once('/') else { continue };
            let limit = limit.split('(').next().unwrap_or("");
            let (used, limit) = (values::amount(used.trim()), values::quota(limit.trim()));
            if let (Some(used), Some(limit)) = (used, limit) {
                let name = name.trim().to_ascii_lowercase();
                self.tell(&name, Some(limit), Some(limit.saturating_sub(used)), None, None);
            }
        }
    }

    /// `total=100; remaining=99; resets=41` (Zendesk), and what is nearly a structured field.
    fn read_pairs(&mut self, name: &str, text: &str) {
        let (mut limit, mut remaining, mut reset) = (None, None, None);
        for (key, value) in text.split([';', ',']).filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            match key.trim() {
                "limit" | "total" | "q" => limit = values::quota(value),
                "remaining" | "r" => remaining = values::amount(value),
                "reset" | "resets" | "t" => {
                    reset = values::until(value, Unit::BySize, self.now);
                }
                _ => {}
            }
        }
        if limit.is_some() || remaining.is_some() || reset.is_some() {
            self.tell(name, limit, remaining, reset, None);
        }
    }

    /// `100:120,20:1` (Riot): units and the seconds of their window; one quota each.
    fn read_riot(&mut self, name: &str, text: &str, is_count: bool) {
        for (units, seconds) in text.split(',').filter_map(|part| part.trim().split_once(':')) {
            let Some(units) = values::amount(units) else { continue };
            let Some(window) = values::span(seconds, Unit::Seconds) else { continue };
            let name = format!("{name}-{seconds}s");
            match is_count {
                true => self.tell_used(&name, units),
                false => self.tell(&name, Some(units), None, None, Some(window)),
            }
        }
    }

    /// `{"call_count":28,"total_time":25}` (Facebook): percent that are used.
    fn read_percentages(&mut self, text: &str) {
        let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else { return };
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        for (name, used) in fields {
            if let Some(used) = used.as_u64() {
                let left = 100_u64.saturating_sub(used);
                self.tell(&name.replace('_', "-"), Some(100), Some(left), None, None);
            }
        }
    }
}
