//! Draws what `growth` measured: decisions per second over keys and over threads, as SVG. Every number in a picture
//! comes from the JSON.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{
    AsRangedCoord, KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter,
};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use serde_json::Value;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), String>;

/// Readable on a light page and on a dark one: the pictures bring their own background.
const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(31, 35, 40);
const GRID: RGBColor = RGBColor(225, 228, 232);

/// How a curve is called in the JSON and in the picture, and its colour.
const CURVES: [(&str, &str, RGBColor); 5] = [
    ("floor", "floor: clock, hash, one exchange", RGBColor(125, 133, 144)),
    ("try_acquire", "Tidegate try_acquire", RGBColor(9, 105, 218)),
    ("acquire", "Tidegate acquire", RGBColor(130, 80, 223)),
    ("Tidegate", "Tidegate", RGBColor(9, 105, 218)),
    ("governor keyed", "governor keyed", RGBColor(207, 94, 20)),
];
/// Of curves that have no colour yet.
const OTHER: RGBColor = RGBColor(26, 127, 55);

/// One line of a picture: places and million decisions a second.
struct Curve {
    label: String,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Decisions per second over the number of keys.
///
/// # Errors
/// When the document is not one that `growth` writes.
pub fn over_keys(document: &Value) -> Result<String, String> {
    let curves = curves(&document["keys"], "keys")?;
    let most_keys = last_place(&curves);
    let mut svg = String::new();
    draw(&mut svg, (860, 480), |area| {
        let title = format!("Decisions per second over keys, one thread, {}", machine(document)?);
        let mut chart = ChartBuilder::on(area);
        chart.caption(title, ("sans-serif", 19).into_font().color(&INK));
        let axes = (1.0..most_keys.max(10.0)).log_scale();
        panel(chart, axes, highest(&curves), "keys, each as likely to come next", &curves, true)
    })?;
    Ok(svg)
}

/// Decisions per second over the number of threads, a panel for each scene.
///
/// # Errors
/// When the document is not one that `growth` writes.
pub fn over_threads(document: &Value) -> Result<String, String> {
    let scenes = document["threads"].as_object().ok_or("no \"threads\" in the JSON")?;
    let panels = scenes.iter().map(|(name, points)| Ok((name, curves(points, "threads")?)));
    let panels: Vec<(&String, Vec<Curve>)> = panels.collect::<Result<_, String>>()?;
    // One scale, so that the panels can be compared.
    let top = panels.iter().map(|(_, curves)| highest(curves)).fold(0.0, f64::max);
    let mut svg = String::new();
    draw(&mut svg, (980, 420), |area| {
        let title = format!("Decisions per second, all threads together, {}", machine(document)?);
        let area = area.titled(&title, ("sans-serif", 19).into_font().color(&INK)).map_err(text)?;
        let places = area.split_evenly((1, panels.len()));
        for (number, ((name, curves), place)) in panels.iter().zip(&places).enumerate() {
            let mut chart = ChartBuilder::on(place);
            chart.caption(name.as_str(), ("sans-serif", 16).into_font().color(&INK));
            let axis = 0.0..last_place(curves) + 0.5;
            // The last panel has the lowest curves, and room for the names.
            let legend = number + 1 == panels.len();
            panel(chart, Threads(axis.into()), top, "threads", curves, legend)?;
        }
        Ok(())
    })?;
    Ok(svg)
}

/// An axis with a label at one, two and four.
struct Threads(RangedCoordf64);

impl Ranged for Threads {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.0.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let counts = std::iter::successors(Some(1.0), |count| Some(count * 2.0));
        counts.take_while(|count| *count < self.0.range().end).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.0.range()
    }
}

impl ValueFormatter<f64> for Threads {
    fn format(value: &f64) -> String {
        amount(*value)
    }
}

/// Axes, their names, and the curves.
fn panel<X>(
    mut chart: ChartBuilder<'_, '_, SVGBackend<'_>>,
    axis: impl AsRangedCoord<CoordDescType = X, Value = f64>,
    top: f64,
    below: &str,
    curves: &[Curve],
    legend: bool,
) -> Drawn
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart.margin(12).margin_right(24).x_label_area_size(48).y_label_area_size(58);
    let mut chart = chart.build_cartesian_2d(axis, 0.0..top * 1.08).map_err(text)?;
    let ink = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(GRID).light_line_style(TRANSPARENT).axis_style(INK);
    mesh.label_style(ink(13)).axis_desc_style(ink(14));
    mesh.x_desc(below).y_desc("million decisions a second");
    mesh.x_label_formatter(&|value| amount(*value)).y_label_formatter(&|value| amount(*value));
    mesh.draw().map_err(text)?;
    for curve in curves {
        let style = curve.colour.stroke_width(2);
        let dots = curve.points.iter().map(|point| Circle::new(*point, 3, curve.colour.filled()));
        chart.draw_series(dots).map_err(text)?;
        let line = LineSeries::new(curve.points.iter().copied(), style);
        let line = chart.draw_series(line).map_err(text)?;
        line.label(curve.label.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    if legend {
        let mut labels = chart.configure_series_labels();
        labels.background_style(PAPER).border_style(GRID).label_font(ink(13));
        labels.position(SeriesLabelPosition::UpperRight).margin(8);
        labels.draw().map_err(text)?;
    }
    Ok(())
}

fn draw(svg: &mut String, size: (u32, u32), fill: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn {
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&PAPER).map_err(text)?;
    fill(&area)?;
    area.present().map_err(text)
}

/// From `[{"keys": 10, "ns": {"floor": 31.5, …}}, …]`, the names in the order of the first point.
fn curves(points: &Value, unit: &str) -> Result<Vec<Curve>, String> {
    let points = points.as_array().filter(|points| !points.is_empty());
    let points = points.ok_or(format!("no points over {unit} in the JSON"))?;
    let names = points[0]["ns"].as_object().ok_or("a point without \"ns\"")?;
    let curve = |name: &String| {
        let known = CURVES.iter().find(|(known, ..)| known == name);
        let (label, colour) = known.map_or((name.as_str(), OTHER), |(_, label, c)| (label, *c));
        let place = |point: &Value| {
            let ns = point["ns"][name].as_f64().filter(|ns| *ns > 0.0);
            Some((point[unit].as_f64()?, 1e3 / ns?))
        };
        let places: Option<Vec<_>> = points.iter().map(place).collect();
        let points = places.ok_or(format!("a point over {unit} without {name:?}"))?;
        Ok(Curve { label: label.to_owned(), colour, points })
    };
    names.keys().map(curve).collect()
}

fn highest(curves: &[Curve]) -> f64 {
    curves.iter().flat_map(|curve| &curve.points).map(|point| point.1).fold(0.0, f64::max)
}

fn last_place(curves: &[Curve]) -> f64 {
    curves.iter().flat_map(|curve| &curve.points).map(|point| point.0).fold(0.0, f64::max)
}

/// What it was measured on, in general words.
fn machine(document: &Value) -> Result<String, String> {
    let cores = document["cores"].as_u64().ok_or("no \"cores\" in the JSON")?;
    Ok(format!("on a machine of {cores} cores"))
}

/// `1000000` → `1M`, `2.5` → `2.5`.
fn amount(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e3 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

fn text(problem: impl Display) -> String {
    problem.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        let point = |unit: &str, at: u64, ns: f64| json!({ unit: at, "ns": { "floor": ns, "governor keyed": 2.0 * ns } });
        json!({
            "cores": 2,
            "keys": [point("keys", 1, 50.0), point("keys", 1_000, 100.0)],
            "threads": { "denial, one key": [point("threads", 1, 40.0), point("threads", 4, 10.0)] },
        })
    }

    #[test]
    fn pictures_name_axes_curves_and_units() {
        for svg in [over_keys(&document()).unwrap(), over_threads(&document()).unwrap()] {
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            for text in ["million decisions a second", "governor keyed", "of 2 cores"] {
                assert!(svg.contains(text), "{text} in {svg}");
            }
            assert_eq!(svg.matches("<circle").count(), 4, "a dot for each figure");
        }
        assert!(over_threads(&document()).unwrap().contains("denial, one key"));
    }

    #[test]
    fn a_cost_becomes_a_rate() {
        let curves = curves(&document()["keys"], "keys").unwrap();
        assert_eq!(curves[0].points, [(1.0, 20.0), (1_000.0, 10.0)]);
        assert_eq!((curves[1].label.as_str(), curves[1].points[1].1), ("governor keyed", 5.0));
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut broken = document();
        broken["keys"][1]["ns"] = json!({ "floor": 1 });
        assert!(over_keys(&broken).unwrap_err().contains("governor keyed"));
        assert!(over_keys(&json!({})).unwrap_err().contains("keys"));
        assert!(over_threads(&json!({})).unwrap_err().contains("threads"));
    }
}
