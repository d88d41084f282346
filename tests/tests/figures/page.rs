//! The page: tables of what was measured several times, and plots.

use std::fmt::Write as _;

/// Smallest, middle and largest of what was measured.
pub fn spread(figures: &[u64]) -> String {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    match sorted.as_slice() {
        [] => "–".to_owned(),
        [one] => one.to_string(),
        [least, .., most] => format!("{least} / **{}** / {most}", median(figures)),
    }
}

/// The middle one; of an even number, what lies between the two.
pub fn median(figures: &[u64]) -> u64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0);
    (at(sorted.len().saturating_sub(1) / 2) + at(sorted.len() / 2)) / 2
}

/// `a` to `b`, in hundredths.
pub fn ratio(a: u64, b: u64) -> String {
    let hundredths = 100 * a / b.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A table in Markdown.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let row = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = row(head.to_vec()) + &row(vec!["---"; head.len()]);
    for cells in rows {
        text += &row(cells.iter().map(String::as_str).collect());
    }
    text
}

/// A line of a plot.
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(u64, u64)>,
}

const WIDTH: u64 = 640;
const HEIGHT: u64 = 320;
const MARGIN: u64 = 60;
const COLOURS: [&str; 4] = ["#1f6f8b", "#c1440e", "#6a994e", "#7b2d8b"];

/// A plot as SVG: a line for each, over whole numbers from zero on, in units of the axes' names.
pub fn plot(title: &str, x: &str, y: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (most_x, most_y) = (
        points().map(|point| point.0).max().unwrap_or(1).max(1),
        points().map(|point| point.1).max().unwrap_or(1).max(1),
    );
    let at = |&(x, y): &(u64, u64)| {
        (MARGIN + x * (WIDTH - 2 * MARGIN) / most_x, HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN) / most_y)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{}\" y=\"24\" text-anchor=\"middle\" font-size=\"14\">{title}</text>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{x}</text>\n<text x=\"{MARGIN}\" y=\"46\" text-anchor=\"middle\">{y}</text>\n",
        WIDTH / 2,
        WIDTH / 2,
        HEIGHT - 16,
    );
    for step in 0..=4 {
        let (value_x, value_y) = (most_x * step / 4, most_y * step / 4);
        let ((left, low), (across, up)) = (at(&(0, 0)), at(&(value_x, value_y)));
        let right = WIDTH - MARGIN;
        let _ = write!(
            svg,
            "<line x1=\"{left}\" y1=\"{up}\" x2=\"{right}\" y2=\"{up}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{value_y}</text>\n\
             <text x=\"{across}\" y=\"{}\" text-anchor=\"middle\">{value_x}</text>\n",
            left - 6,
            up + 4,
            low + 18,
        );
    }
    for (number, Line { name, points }) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let path: Vec<String> = points.iter().map(at).map(|(x, y)| format!("{x},{y}")).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{name}</text>\n",
            path.join(" "),
            MARGIN + 12,
            MARGIN + 4 + 16 * number as u64,
        );
    }
    svg + "</svg>\n"
}
